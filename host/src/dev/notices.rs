//! The problems that keep a change from going live, until they are fixed. The terminal and the open pages show them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use seam_runtime::component::ContextProblem;
use seam_runtime::run::Generation;
use seam_runtime::serve::Registry;
use seam_store::chain;
use seam_store::ids::ContextName;
use serde::Serialize;

use crate::build::{Diagnostic, FailedContext, IncrementalBuild};
use crate::deploy::{GateRefusal, Step};
use crate::limits;
use crate::manifest::{Manifest, Place, Problem};

/// A problem or a note for the developer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// The contexts that it concerns, separated by commas; may be empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub context: String,
    /// `plugins/catalog/src/lib.rs:12:5`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// The deploy step that refused the change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
    pub message: String,
    /// The compiler's own text; may be empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// What to do about it; may be empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub remedy: String,
}

/// The current notices by their source. Each source replaces only its own.
#[derive(Debug, Default)]
pub struct Notices {
    pub manifest: Vec<Notice>,
    pub builds: BTreeMap<ContextName, Vec<Notice>>,
    /// Refusals of the deploy steps, which look at all contexts together.
    pub system: Vec<Notice>,
    /// Valid settings that take effect only after a restart.
    pub restart: Vec<Notice>,
}

impl Notice {
    pub fn error(error: &dyn std::error::Error, remedy: Option<String>) -> Self {
        let message = chain(error);
        // Further lines are the output of another program.
        let (message, text) = message.split_once('\n').map_or((&*message, ""), |(first, rest)| (first, rest));
        Self { message: message.into(), text: text.into(), remedy: remedy.unwrap_or_default(), ..Self::default() }
    }

    pub fn of_problem(manifest: &Path, problem: &Problem) -> Self {
        let file = manifest.file_name().unwrap_or(manifest.as_os_str()).to_string_lossy();
        let place = match problem.place {
            Place { line: 0, .. } => file.into_owned(),
            Place { line, column } => format!("{file}:{line}:{column}"),
        };
        let (message, remedy) = (problem.message.clone(), problem.remedy.clone());
        Self { place: Some(place), message, remedy, ..Self::default() }
    }

    pub fn of_refusal(refusal: &GateRefusal) -> Self {
        let (message, remedy) = (refusal.message.clone(), refusal.remedy.clone());
        Self { step: refusal.step, message, remedy, ..Self::default() }
    }

    pub fn about(mut self, context: &ContextName) -> Self {
        self.context = context.to_string();
        self
    }

    fn of_diagnostic(context: &ContextName, diagnostic: &Diagnostic) -> Self {
        let place = diagnostic.place.as_ref().map(|(file, line, column)| format!("{file}:{line}:{column}"));
        let text = diagnostic.rendered.trim_end().to_owned();
        Self { place, message: diagnostic.message.clone(), text, ..Self::default() }.about(context)
    }

    fn shortened(&self) -> Self {
        let mut text = self.text.clone();
        if text.len() > limits::DEV_PROBLEM_BYTES_MAX {
            let mut end = limits::DEV_PROBLEM_BYTES_MAX;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.truncate(end);
            text.push_str("\n(the rest is in the terminal)");
        }
        Self { text, ..self.clone() }
    }
}

/// The text for the terminal: the compiler's own, or one line and a hint.
impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.text.is_empty() && self.text.contains(&self.message) {
            return f.write_str(&self.text);
        }
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        // Most messages already name the context.
        let named = self.context.is_empty() || self.message.contains(&format!("`{}`", self.context));
        let about = if named { String::new() } else { format!("`{}`: ", self.context) };
        let at = self.step.map(|step| format!(" at {}", step.name())).unwrap_or_default();
        write!(f, "error{at}: {about}{}", self.message)?;
        if !self.text.is_empty() {
            write!(f, "\n{}", self.text)?;
        }
        if !self.remedy.is_empty() {
            write!(f, "\n  hint: {}", self.remedy)?;
        }
        Ok(())
    }
}

impl Notices {
    /// Replaces the notices of the contexts in `built`. Returns the lines for the terminal.
    pub fn update_builds(&mut self, built: &IncrementalBuild) -> Vec<String> {
        for made in &built.up_to_date {
            self.builds.remove(&made.context);
        }
        let mut lines = Vec::new();
        for failed in &built.failed {
            let notices = of_build(failed);
            for line in notices.iter().map(Notice::to_string) {
                // An error in a crate that several contexts share is printed once.
                if !lines.contains(&line) {
                    lines.push(line);
                }
            }
            self.builds.insert(failed.context.clone(), notices);
        }
        let names: Vec<&str> = built.failed.iter().map(|failed| failed.context.as_str()).collect();
        match names.as_slice() {
            [] => {}
            [one] => lines.push(format!("{one} is not built; its previous version keeps serving")),
            many => lines.push(format!("{} are not built; their previous versions keep serving", many.join(", "))),
        }
        lines
    }

    /// All current problems. An error in a crate that several contexts share is listed once, with all their names.
    pub fn problems(&self) -> Vec<Notice> {
        let mut all: Vec<Notice> = Vec::new();
        for notice in self.manifest.iter().chain(self.builds.values().flatten()).chain(&self.system) {
            let same = |other: &&mut Notice| {
                Notice { context: String::new(), ..(**other).clone() }
                    == Notice { context: String::new(), ..notice.clone() }
            };
            match all.iter_mut().find(same) {
                Some(other) if other.context != notice.context => {
                    other.context.push_str(&format!(", {}", notice.context))
                }
                Some(_) => {}
                None => all.push(notice.clone()),
            }
        }
        all
    }

    pub fn count(&self) -> usize {
        self.problems().len()
    }

    /// The problems as the open pages show them: limited in number and length.
    pub fn for_pages(&self) -> Vec<Notice> {
        self.problems().iter().take(limits::DEV_PROBLEMS_MAX).map(Notice::shortened).collect()
    }
}

fn of_build(failed: &FailedContext) -> Vec<Notice> {
    if !failed.diagnostics.is_empty() {
        return failed.diagnostics.iter().map(|one| Notice::of_diagnostic(&failed.context, one)).collect();
    }
    let mut notice = Notice::error(&failed.error, failed.error.hint()).about(&failed.context);
    if !failed.output.trim().is_empty() {
        notice.text = failed.output.trim_end().to_owned();
    }
    vec![notice]
}

/// How the running versions trapped last, a notice for each; none of a version before.
pub fn of_traps(registry: &Registry) -> Vec<Notice> {
    let of = |generation: &Arc<Generation>| {
        let trap = generation.last_trap()?;
        let (why, text) = trap.reason.split_once('\n').unwrap_or((&trap.reason, ""));
        let notice = Notice {
            message: format!("it trapped: {why}"),
            text: text.to_owned(),
            remedy: format!("`seam logs --trace {:032x}` shows the lines of the request", trap.trace.trace_id),
            ..Notice::default()
        };
        Some(notice.about(generation.context()).shortened())
    };
    registry.generations().iter().filter_map(of).take(limits::DEV_PROBLEMS_MAX).collect()
}

/// Problems of a whole system, with the lines of the manifest that they concern.
pub fn of_problems(manifest: &Manifest, step: Option<Step>, problems: &[ContextProblem]) -> Vec<Notice> {
    let notice = |problem: &ContextProblem| {
        let entry = manifest.contexts.iter().find(|context| context.settings.name == problem.context);
        let place = entry.map_or(Place::default(), |context| context.places.of(&problem.part));
        let placed = Problem::new(place, problem.message.clone(), problem.remedy.clone());
        Notice { step, ..Notice::of_problem(&manifest.path, &placed) }.about(&problem.context)
    };
    problems.iter().map(notice).collect()
}
