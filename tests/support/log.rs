//! What is logged, by whomever and at whatever level.
#![allow(unreachable_pub, reason = "it is a part of tests")]

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex, OnceLock};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, registry};

/// Everything that anybody logs, whatever its level, a line each.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<String>>);

/// One log for the process, as `tracing` has it.
pub fn log() -> &'static Log {
    static LOG: OnceLock<Log> = OnceLock::new();
    LOG.get_or_init(|| {
        let log = Log::default();
        tracing::subscriber::set_global_default(registry().with(log.clone())).expect("it is the first");
        log
    })
}

impl Log {
    fn line(&self, start: &str, record: impl FnOnce(&mut Fields)) {
        let mut fields = Fields(start.to_owned());
        record(&mut fields);
        let mut text = self.0.lock().expect("no panic");
        text.push_str(&fields.0);
        text.push('\n');
    }

    pub fn text(&self) -> String {
        self.0.lock().expect("no panic").clone()
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Log {
    fn on_new_span(&self, span: &Attributes<'_>, id: &Id, _: Context<'_, S>) {
        self.line(&format!("span {} {}", id.into_u64(), span.metadata().name()), |fields| span.record(fields));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        self.line(&format!("span {}", id.into_u64()), |fields| values.record(fields));
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        let span = context.event_span(event).map_or("no span", |span| span.name());
        self.line(&format!("{} {} in {span}", metadata.level(), metadata.target()), |fields| event.record(fields));
    }
}

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {field}={value:?}").expect("a text takes all");
    }
}
