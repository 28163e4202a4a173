//! The host dies in the middle of a mend.

use seam_store::fault::POINTS;

use super::*;
use crate::killing;

/// As a process of its own: looks until it is killed, or until all is mended.
fn work(folder: &std::path::Path, contexts: &Contexts) -> Reconciler<Contexts> {
    let rule = Reconcile { after: Duration::ZERO, ..rule(true) };
    let reconciler = reconciler(folder, &rule, contexts, Clock::system());
    reconciler.start();
    reconciler.look(&rule);
    reconciler
}

#[test]
fn killed_in_the_middle_of_a_mend_the_host_asks_again_under_the_same_key() {
    const TEST: &str =
        "reconcile::tests::killed::killed_in_the_middle_of_a_mend_the_host_asks_again_under_the_same_key";
    if let Some(folder) = killing::inherited() {
        let contexts = Contexts::default();
        contexts.0.lock().amounts.insert("x".into(), (0, 2));
        work(&folder, &contexts);
        return;
    }
    let points: Vec<&str> = POINTS.iter().copied().filter(|point| point.starts_with("reconcile.")).collect();
    assert_eq!(points.len(), 2);
    for point in points {
        for _ in 0..killing::kills() {
            let folder = killing::folder();
            let ended = killing::run(TEST, folder.path(), &[("SEAM_FAULT", &format!("{point}:kill"))]);
            assert!(ended.killed, "{point}: {}", ended.said);
            // In these contexts, nothing was done; they still disagree.
            let contexts = Contexts::default();
            contexts.0.lock().amounts.insert("x".into(), (0, 2));
            let file = Arc::new(HostFile::open(folder.path()).unwrap());
            let cut_off = Book::new(file.clone()).unwrap().standing(TOTAL).unwrap().remove("x").unwrap();
            assert_eq!((cut_off.state, cut_off.attempts, &cut_off.answer), (Open, 1, &None), "{point}");
            let lines = Audit::new(file).unwrap().lines(10).unwrap();
            assert_eq!(lines.iter().map(|line| &line.outcome).collect::<Vec<_>>(), [&None], "{point}: it was cut off");
            let reconciler = work(folder.path(), &contexts);
            let asked = contexts.0.lock().asked.clone();
            assert_eq!(asked, [("x".to_owned(), cut_off.id.clone(), 2)], "{point}: the same key, the next attempt");
            let over = reconciler.book.over(TOTAL).unwrap();
            assert_eq!(over.iter().map(|one| (one.state, &one.id)).collect::<Vec<_>>(), [(Mended, &cut_off.id)]);
        }
    }
    // What a cut-off attempt has mended counts as mended.
    let folder = killing::folder();
    assert!(killing::run(TEST, folder.path(), &[("SEAM_FAULT", "reconcile.after-mend:kill")]).killed);
    let reconciler = work(folder.path(), &Contexts::default());
    assert_eq!(reconciler.book.over(TOTAL).unwrap().iter().map(|one| one.state).collect::<Vec<_>>(), [Mended]);
}
