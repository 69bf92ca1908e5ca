//! What the library has to say, for hosts that take it line by line. A Rust program takes the
//! events of `tracing` itself.

use std::any::TypeId;
use std::fmt::{self, Write as _};
use std::sync::OnceLock;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span;
use tracing::subscriber::{self, Interest};
use tracing::{Event, Level, Metadata, Subscriber, callsite};

/// Takes the lines of the log. Called on any thread, also on several at once, and must not wait.
pub trait LogSink: Send + Sync {
    /// The least urgent level that is told at the moment. When it changes, `log_level_changed` is
    /// to be called.
    fn level(&self) -> LevelFilter;

    /// Something is told that is urgent enough.
    fn event(&self, event: &LogEvent<'_>);
}

/// One line of the log.
#[derive(Debug)]
pub struct LogEvent<'a>(&'a Event<'a>);

impl LogEvent<'_> {
    /// How urgent it is.
    #[must_use]
    pub fn level(&self) -> Level {
        *self.0.metadata().level()
    }

    /// The part of the library.
    #[must_use]
    pub fn target(&self) -> &'static str {
        self.0.metadata().target()
    }

    /// The line without an end of line: the message, then the other fields as ` name=value`. It is
    /// made anew by each call.
    #[must_use]
    pub fn text(&self) -> String {
        let mut line = Line::default();
        self.0.record(&mut line);
        line.message + &line.fields
    }
}

#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Line {
    fn add(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        // Writing to a String does not fail.
        let _ = match field.name() {
            "message" => self.message.write_fmt(value),
            name => write!(self.fields, " {name}={value}"),
        };
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format_args!("{value:?}"));
    }

    /// Strings stand as they are, without quotes.
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, format_args!("{value}"));
    }
}

/// Hands every event to a sink. Spans are not told of.
struct Relay<S: 'static>(&'static S);

impl<S: LogSink> Subscriber for Relay<S> {
    /// Asked each time: the sink's level changes.
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.0.level())
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= self.0.level()
    }

    fn event(&self, event: &Event<'_>) {
        self.0.event(&LogEvent(event));
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// Has the events of this process go to `sink` from now on; the first call decides. False: they go
/// elsewhere, to another kind of sink or to what the host took of `tracing` itself.
pub fn install_log<S: LogSink>(sink: &'static S) -> bool {
    static INSTALLED: OnceLock<Option<TypeId>> = OnceLock::new();
    let own = Some(TypeId::of::<S>());
    let install = || subscriber::set_global_default(Relay(sink)).map_or(None, |()| own);
    *INSTALLED.get_or_init(install) == own
}

/// To be called when the level of the sink is another one.
pub fn log_level_changed() {
    callsite::rebuild_interest_cache();
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;

    struct Kept {
        level: Mutex<LevelFilter>,
        lines: Mutex<Vec<(Level, &'static str, String)>>,
    }

    impl LogSink for Kept {
        fn level(&self) -> LevelFilter {
            *self.level.lock()
        }

        fn event(&self, event: &LogEvent<'_>) {
            let line = (event.level(), event.target(), event.text());
            self.lines.lock().push(line);
        }
    }

    fn kept(level: LevelFilter) -> &'static Kept {
        Box::leak(Box::new(Kept {
            level: Mutex::new(level),
            lines: Mutex::default(),
        }))
    }

    fn lines(sink: &Kept) -> Vec<String> {
        let lines = std::mem::take(&mut *sink.lines.lock());
        lines.into_iter().map(|(_, _, text)| text).collect()
    }

    #[test]
    fn a_line_is_the_message_and_then_the_fields() {
        let sink = kept(LevelFilter::TRACE);
        subscriber::with_default(Relay(sink), || {
            let (topic, missing) = ("a b", Some("c"));
            tracing::warn!(target: "rmq::part", count = 3, topic, "it is {}", "so");
            tracing::info!(shown = %topic, told = ?topic, ?missing, "next");
            tracing::info!("alone\u{e9}");
            tracing::info_span!("inside").in_scope(|| tracing::info!("in a span"));
        });
        let first = (Level::WARN, "rmq::part", "it is so count=3 topic=a b");
        let (level, target, text) = sink.lines.lock().remove(0);
        assert_eq!((level, target, &*text), first);
        let second = "next shown=a b told=\"a b\" missing=Some(\"c\")";
        assert_eq!(lines(sink), [second, "alone\u{e9}", "in a span"]);
    }

    #[test]
    fn lines_are_told_from_the_level_of_the_moment_on() {
        let sink = kept(LevelFilter::WARN);
        subscriber::with_default(Relay(sink), || {
            let all = || {
                tracing::error!("error");
                tracing::warn!("warn");
                tracing::info!("info");
                tracing::debug!("debug");
                tracing::trace!("trace");
            };
            all();
            assert_eq!(lines(sink), ["error", "warn"]);
            for (level, count) in [
                (LevelFilter::TRACE, 5),
                (LevelFilter::ERROR, 1),
                (LevelFilter::OFF, 0),
                (LevelFilter::DEBUG, 4),
            ] {
                *sink.level.lock() = level;
                log_level_changed();
                all();
                assert_eq!(lines(sink).len(), count, "{level}");
            }
        });
    }

    #[test]
    fn the_first_sink_stays_and_another_hears_that_it_is_none() {
        struct Other;

        impl LogSink for Other {
            fn level(&self) -> LevelFilter {
                LevelFilter::OFF
            }

            fn event(&self, _: &LogEvent<'_>) {}
        }

        // Another test of this process would see the events of a sink that takes some.
        assert!(install_log(&Other));
        assert!(install_log(&Other));
        assert!(!install_log(kept(LevelFilter::OFF)));
    }
}
