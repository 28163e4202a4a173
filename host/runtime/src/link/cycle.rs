//! Cycles of imports: a call chain must never return to a context that it has passed.

use crate::call::ContextIndex;

/// The contexts of one cycle of imports; the first one stands at the end again. `callees`: for each context, the
/// contexts that it may call.
pub(super) fn find_cycle(callees: &[Vec<ContextIndex>]) -> Option<Vec<ContextIndex>> {
    fn visit(
        callees: &[Vec<ContextIndex>],
        at: ContextIndex,
        done: &mut Vec<bool>,
        path: &mut Vec<ContextIndex>,
    ) -> Option<Vec<ContextIndex>> {
        if let Some(start) = path.iter().position(|p| *p == at) {
            let mut cycle = path.get(start..)?.to_vec();
            cycle.push(at);
            return Some(cycle);
        }
        if done.get(usize::from(at)).copied().unwrap_or(true) {
            return None;
        }
        path.push(at);
        for callee in callees.get(usize::from(at))? {
            if let Some(cycle) = visit(callees, *callee, done, path) {
                return Some(cycle);
            }
        }
        path.pop();
        if let Some(done) = done.get_mut(usize::from(at)) {
            *done = true;
        }
        None
    }
    let mut done = vec![false; callees.len()];
    (0..callees.len()).find_map(|at| visit(callees, ContextIndex::try_from(at).ok()?, &mut done, &mut Vec::new()))
}
