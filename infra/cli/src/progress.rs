//! The progress of a step that takes time: a bar on a terminal, elsewhere a line every ten seconds.
//!
//! A log of a build server and a person at a terminal must both see that the command is alive.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// How long a step may last between two lines without a terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);
/// How often a bar on a terminal is drawn again.
const DRAW_INTERVAL: Duration = Duration::from_millis(100);

/// The progress of one step. When it is dropped, the bar is removed and no more lines are printed.
pub struct Progress {
    bar: ProgressBar,
    /// Ends the thread that prints the lines, by being dropped.
    _lines: Option<Sender<()>>,
}

impl Progress {
    /// Shows a step of unknown length. Without a terminal, it names the step at once.
    pub fn spinner(message: &'static str) -> Self {
        let bar = ProgressBar::new_spinner().with_message(message);
        if bar.is_hidden() {
            eprintln!("{message}");
        }
        Self::show(bar, "{spinner} {msg} {elapsed:.dim}")
    }

    /// Shows a step of a known length, drawn by an `indicatif` template on a terminal.
    pub fn bar(length: u64, template: &str) -> Self {
        Self::show(ProgressBar::new(length), template)
    }

    /// Prints lines only, also on a terminal: another program writes to it meanwhile.
    pub fn lines(message: &'static str) -> Self {
        let bar = ProgressBar::hidden().with_message(message);
        Self {
            _lines: Some(print_lines(bar.clone())),
            bar,
        }
    }

    fn show(bar: ProgressBar, template: &str) -> Self {
        let style = ProgressStyle::with_template(template);
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.progress_chars("=> "));
        let lines = bar.is_hidden().then(|| print_lines(bar.clone()));
        if lines.is_none() {
            bar.enable_steady_tick(DRAW_INTERVAL);
        }
        Self { bar, _lines: lines }
    }

    /// The bar, for its position and message.
    pub fn as_bar(&self) -> &ProgressBar {
        &self.bar
    }

    /// Prints a line that stays, above the bar if there is one.
    pub fn print(&self, line: &str) {
        if self.bar.is_hidden() {
            eprintln!("{line}");
        } else {
            self.bar.println(line);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Prints a line about the bar every ten seconds until the sender is dropped.
fn print_lines(bar: ProgressBar) -> Sender<()> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        while receiver.recv_timeout(LINE_INTERVAL) == Err(RecvTimeoutError::Timeout) {
            eprintln!("{}", line_of(&bar));
        }
    });
    sender
}

/// What a bar shows, in one line.
fn line_of(bar: &ProgressBar) -> String {
    let mut parts = vec![bar.prefix(), bar.message()];
    if let Some(length) = bar.length() {
        parts.insert(1, format!("{}/{length}", bar.position()));
    }
    parts.retain(|part| !part.is_empty());
    let seconds = bar.elapsed().as_secs();
    format!("{} ({seconds} s)", parts.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_the_step_its_position_and_its_time() {
        let bar = ProgressBar::hidden();
        bar.set_length(30);
        bar.set_position(7);
        bar.set_prefix("Building the functions");
        bar.set_message("aws-sdk-dynamodb");
        assert_eq!(
            line_of(&bar),
            "Building the functions 7/30 aws-sdk-dynamodb (0 s)"
        );
        let spinner = ProgressBar::hidden().with_message("Deploying template.yaml …");
        spinner.unset_length();
        assert_eq!(line_of(&spinner), "Deploying template.yaml … (0 s)");
    }
}
