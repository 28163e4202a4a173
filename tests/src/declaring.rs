//! A component that declares sagas, sound or not, and whose steps do nothing.

use std::fmt::Write as _;

use anyhow::Result;
use seam_store::{SagaDefinition, SagaStep, SagaUndo};

use crate::{MEMORY, component};

/// # Errors
/// When the text of the component is wrong, which is this file's fault.
pub fn declaring(definitions: &[SagaDefinition]) -> Result<Vec<u8>> {
    let mut data = Data { bytes: vec![0; 128] };
    let listed: Vec<[u32; 4]> = definitions
        .iter()
        .map(|SagaDefinition { kind, steps }| {
            let records: Vec<u32> = steps.iter().flat_map(|step| data.step(step)).collect();
            let (kind, at) = (data.text(kind), data.words(&records));
            [kind.0, kind.1, at, steps.len() as u32]
        })
        .collect();
    let list = data.words(&listed.concat());
    let head = data.words(&[list, definitions.len() as u32]);
    let text = data.bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "\\{byte:02x}").ok();
        text
    });
    let step = "(param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 64)";
    let wat = format!(
        r#"(module {MEMORY}
            (data (i32.const 0) "{text}")
            (func (export "seam:host/saga-steps@0.1.0#definitions") (result i32) (i32.const {head}))
            (func (export "seam:host/saga-steps@0.1.0#perform") {step})
            (func (export "seam:host/saga-steps@0.1.0#undo") {step}))"#
    );
    component("package t:declaring; world this { export seam:host/saga-steps@0.1.0; }", "this", &wat)
}

/// The memory of the component, from 0 on.
struct Data {
    bytes: Vec<u8>,
}

impl Data {
    fn text(&mut self, text: &str) -> (u32, u32) {
        let at = self.bytes.len() as u32;
        self.bytes.extend(text.as_bytes());
        (at, text.len() as u32)
    }

    fn words(&mut self, words: &[u32]) -> u32 {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        let at = self.bytes.len() as u32;
        self.bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        at
    }

    /// The WIT record `step`, in words of the canonical ABI.
    fn step(&mut self, step: &SagaStep) -> [u32; 10] {
        let name = self.text(&step.name);
        let call = step.call.as_ref().map(|call| self.text(call));
        let (undo, function) = match &step.undo {
            SagaUndo::Call(function) => (0, self.text(function)),
            SagaUndo::Own => (1, (0, 0)),
            SagaUndo::Nothing => (2, (0, 0)),
            SagaUndo::Never => (3, (0, 0)),
        };
        let (called, call) = (u32::from(call.is_some()), call.unwrap_or_default());
        [name.0, name.1, called, call.0, call.1, undo, function.0, function.1, step.tries, step.patience_s]
    }
}
