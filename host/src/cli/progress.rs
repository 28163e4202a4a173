//! How far a long command is: a bar on standard error, on a terminal only.

use std::borrow::Cow;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar from its first step on. It is gone once it is dropped.
pub struct Bar {
    template: &'static str,
    bar: Option<ProgressBar>,
}

impl Bar {
    /// `template`: what it looks like, with `indicatif`'s words.
    pub fn new(template: &'static str) -> Self {
        Self { template, bar: None }
    }

    pub fn at(&mut self, message: impl Into<Cow<'static, str>>, done: u64, of: u64) {
        let bar = self.shown();
        bar.set_length(of);
        bar.set_position(done);
        bar.set_message(message);
    }

    /// As far as before, with another message.
    pub fn message(&mut self, message: impl Into<Cow<'static, str>>) {
        self.shown().set_message(message);
    }

    pub fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn shown(&mut self) -> &ProgressBar {
        self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template(self.template);
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        })
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.clear();
    }
}
