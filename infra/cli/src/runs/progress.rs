//! How far a run is: a bar on a terminal, and a line every few seconds elsewhere.

use std::collections::VecDeque;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use paygraph_domain::time::Timestamp;
use paygraph_engine::run::{Run, Stage};

/// Off a terminal, a line is printed at least this often.
const LINE: Duration = Duration::from_secs(5);
/// The time over which the speed of a run is measured.
const WINDOW: Duration = Duration::from_secs(60);
/// A run that was noted within this time is at work, in seconds: as long as a lease.
const AT_WORK: i64 = 90;
/// A run that nobody has noted for this long may wait for another one, in seconds.
const QUIET: i64 = 10;

/// How far a run is, for people.
pub struct Progress {
    bar: Option<ProgressBar>,
    view: View,
    printed: Option<(Instant, String)>,
}

/// What is known of a run's speed.
struct View {
    begun: Instant,
    /// How many objects were read before.
    before: u64,
    /// Shares done, in thousandths, of the last minute.
    samples: VecDeque<(Instant, u64)>,
}

impl Progress {
    /// Begins to show a run, as it was before.
    pub fn new(run: Option<&Run>) -> Self {
        let now = Instant::now();
        Self {
            bar: std::io::stderr().is_terminal().then(bar),
            view: View::new(now, run),
            printed: None,
        }
    }

    /// Says something beside the progress.
    pub fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => eprintln!("{text}"),
        }
    }

    /// Shows how far a run is. `others` are the tenant's newest runs.
    pub fn show(&mut self, run: Option<&Run>, others: &[Run], now: Timestamp) {
        let instant = Instant::now();
        let text = self.view.text(run, others, now, instant);
        if let Some(bar) = &self.bar {
            bar.set_position(run.map_or(0, Run::share_done));
            bar.set_message(text);
        } else if let Some(line) = due_line(&mut self.printed, text, instant) {
            eprintln!("{line}");
        }
    }

    /// Ends the bar.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(1_000), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{bar:30} {percent}% {wide_msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// The line to print now, if any: a new one soon, and any after some seconds.
fn due_line(printed: &mut Option<(Instant, String)>, line: String, now: Instant) -> Option<String> {
    let is_due = printed.as_ref().is_none_or(|(at, before)| {
        let age = now.duration_since(*at);
        age >= LINE || (*before != line && age >= Duration::from_secs(1) && is_news(before, &line))
    });
    is_due.then(|| {
        *printed = Some((now, line.clone()));
        line
    })
}

/// Whether two lines differ in the stage or in the reason of a wait, and not only in counts.
fn is_news(before: &str, line: &str) -> bool {
    let words = |text: &str| -> String { text.chars().filter(|c| !c.is_ascii_digit()).collect() };
    words(before) != words(line)
}

impl View {
    fn new(begun: Instant, run: Option<&Run>) -> Self {
        Self {
            begun,
            before: run.map_or(0, |run| run.counts.checked()),
            samples: VecDeque::new(),
        }
    }

    /// A run in one line: share, stage, objects, speed, time left, and the reason of a wait.
    fn text(
        &mut self,
        run: Option<&Run>,
        others: &[Run],
        now: Timestamp,
        instant: Instant,
    ) -> String {
        let Some(run) = run else {
            let other = at_work(None, others, now);
            return other.map_or_else(|| "waiting for the function".to_owned(), waits_for);
        };
        let share = run.share_done();
        let checked = run.counts.checked();
        let seconds = instant.duration_since(self.begun).as_secs().max(1);
        let rate = checked.saturating_sub(self.before) / seconds;
        let mut text = format!(
            "{}% {}: {} objects, {}/s",
            share / 10,
            run.stage.words(),
            HumanCount(checked),
            HumanCount(rate)
        );
        let failed = run.counts.failures();
        if failed > 0 {
            text.push_str(&format!(", {} set aside", HumanCount(failed)));
        }
        if let Some(left) = self.left(run.stage, share, instant) {
            text.push_str(&format!(", about {} left", span(left)));
        }
        if let Some(reason) = reason(run, others, now) {
            text.push_str(&format!("; waiting: {reason}"));
        }
        text
    }

    /// About how long the run still takes, by the speed of the last minute. None where nothing tells:
    /// in the first seconds, while nothing moves, and once all lists are read.
    fn left(&mut self, stage: Stage, share: u64, now: Instant) -> Option<Duration> {
        self.samples.push_back((now, share));
        while let Some((at, _)) = self.samples.front()
            && now.duration_since(*at) > WINDOW
        {
            self.samples.pop_front();
        }
        let (at, before) = *self.samples.front()?;
        let (took, moved) = (now.duration_since(at), share.checked_sub(before)?);
        if stage > Stage::Followers || moved < 5 || took < Duration::from_secs(5) {
            return None;
        }
        let left = u32::try_from(1_000_u64.saturating_sub(share)).ok()?;
        (took * left).checked_div(u32::try_from(moved).ok()?)
    }
}

/// Why a run does not move, if anything tells.
fn reason(run: &Run, others: &[Run], now: Timestamp) -> Option<String> {
    if let Some(wait) = &run.wait {
        let until = wait.until.filter(|until| *until > now);
        return Some(match until {
            Some(until) => format!("{}, in {} s", wait.reason, until.unix() - now.unix()),
            None => wait.reason.clone(),
        });
    }
    if let Some(problem) = &run.problem {
        return Some(problem.clone());
    }
    let quiet = now.unix() - run.noted_at.unix();
    if quiet < QUIET {
        return None;
    }
    match at_work(Some(run), others, now) {
        Some(other) => Some(waits_for(other)),
        None if quiet > AT_WORK => Some(format!(
            "nobody has worked at it for {quiet} s; the function takes it up within five minutes"
        )),
        None => None,
    }
}

/// Another run of the tenant that is at work: it holds the tenant's lease.
fn at_work<'r>(run: Option<&Run>, others: &'r [Run], now: Timestamp) -> Option<&'r Run> {
    others.iter().find(|other| {
        let is_other = run.is_none_or(|run| run.id != other.id);
        let is_open = !other.is_finished() && !other.stopped;
        is_other && is_open && now < other.noted_at.plus(AT_WORK)
    })
}

fn waits_for(other: &Run) -> String {
    let mut text = format!(
        "the run {} of this tenant is at work ({}, {}%)",
        other.id,
        other.stage.words(),
        other.share_done() / 10
    );
    let wait = other.wait.as_ref().map(|wait| &wait.reason);
    if let Some(reason) = wait.or(other.problem.as_ref()) {
        text.push_str(&format!(", and waits: {reason}"));
    }
    text
}

/// `3 min 20 s`
fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use paygraph_domain::id::TenantId;
    use paygraph_engine::run::{Job, Scope, Wait};

    fn run(name: &str) -> Run {
        let now = Timestamp::from_unix(1_790_000_000).unwrap();
        let tenant = TenantId::parse("t").unwrap();
        Run::new(
            name.to_owned(),
            tenant,
            Job::Reconcile,
            Scope::default(),
            now,
        )
    }

    /// U21: off a terminal, a line comes at least every ten seconds, whatever the run does.
    #[test]
    fn u21_a_line_comes_at_least_every_ten_seconds() {
        let begun = Instant::now();
        let (mut printed, mut times) = (None, Vec::new());
        for look in 0_u32..400 {
            let now = begun + Duration::from_millis(300) * look;
            let line = if look < 200 { "the same" } else { "another" };
            if due_line(&mut printed, line.to_owned(), now).is_some() {
                times.push(now);
            }
        }
        assert_eq!(times.first(), Some(&begun));
        let longest = times.windows(2).map(|two| two[1] - two[0]).max().unwrap();
        assert!(longest < Duration::from_secs(10), "{longest:?}");
        assert!(times.len() < 40, "{} lines in two minutes", times.len());
    }

    /// U21: the time left follows from the speed of the last minute, and is not told where nobody
    /// can know it.
    #[test]
    fn u21_the_time_left_is_realistic() {
        let begun = Instant::now();
        let mut view = View::new(begun, None);
        let at = |seconds: u64| begun + Duration::from_secs(seconds);
        assert_eq!(view.left(Stage::Objects, 100, at(0)), None);
        for second in 1..=100 {
            view.left(Stage::Objects, 100 + second, at(second));
        }
        // A thousandth a second: 800 are left.
        let left = view.left(Stage::Objects, 200, at(100)).unwrap();
        assert_eq!(left.as_secs() / 10, 80);
        // It stands still for longer than the window.
        for second in 101..=200 {
            view.left(Stage::Objects, 200, at(second));
        }
        assert_eq!(view.left(Stage::Objects, 200, at(201)), None);
        assert_eq!(view.left(Stage::SecondLook, 980, at(202)), None);
    }

    /// T3: the command says for what a run waits: the second look, an error, another run.
    #[test]
    fn t3_the_reason_of_a_wait_is_shown() {
        let (mut waiting, other) = (run("run-1"), run("run-2"));
        let now = waiting.noted_at.plus(30);
        let shown = |run: Option<&Run>, others: &[Run]| {
            let begun = Instant::now();
            View::new(begun, None).text(run, others, now, begun)
        };
        let text = shown(Some(&waiting), std::slice::from_ref(&other));
        assert!(
            text.contains("the run run-2 of this tenant is at work"),
            "{text}"
        );
        assert!(shown(None, std::slice::from_ref(&other)).contains("run-2"));
        assert_eq!(shown(None, &[]), "waiting for the function");
        waiting.wait = Some(Wait {
            reason: "webhooks may be on their way".to_owned(),
            until: Some(now.plus(120)),
        });
        let text = shown(Some(&waiting), &[]);
        assert!(
            text.ends_with("waiting: webhooks may be on their way, in 120 s"),
            "{text}"
        );
    }
}
