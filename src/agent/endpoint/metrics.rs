//! The health as `OpenMetrics`, for Prometheus.

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::{Registry, Unit};

use crate::wire::{Health, Status};

/// The media type of [`render`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const STATUSES: [Status; 4] = [Status::Starting, Status::Ok, Status::Degraded, Status::Stopping];

/// Renders the health. This is computed anew each time, because a scrape every few seconds does not justify a
/// second copy of what the machine already knows.
pub fn render(health: &Health) -> String {
    let mut registry = Registry::with_prefix("livegui");
    let status = Family::<Vec<(String, String)>, Gauge>::default();
    for word in STATUSES {
        let labels = vec![("status".to_owned(), word.to_string())];
        status
            .get_or_create(&labels)
            .set(i64::from(health.status == word));
    }
    registry.register("status", "1 for the word that the agent has for the app", status);

    let reasons = Family::<Vec<(String, String)>, Gauge>::default();
    for reason in &health.reasons {
        let labels = vec![
            ("code".to_owned(), reason.code.clone()),
            ("component".to_owned(), reason.component.clone()),
        ];
        reasons.get_or_create(&labels).set(1);
    }
    registry.register(
        "reason",
        "1 for each reason for which the app is degraded",
        reasons,
    );

    let check = &health.checks.main_loop;
    registry.register("beats", "Beats of the main loop", ConstCounter::new(check.beats));
    let mut seconds = |name, help, value: f64| {
        registry.register_with_unit(name, help, Unit::Seconds, ConstGauge::new(value));
    };
    if let Some(age) = check.age_ms {
        seconds(
            "beat_age",
            "Observed-awake time since the last beat",
            age as f64 / 1e3,
        );
    }
    seconds(
        "frame_p50",
        "Half of the frames took at most this",
        check.frame_ms.p50 / 1e3,
    );
    seconds(
        "frame_p99",
        "Of a hundred frames 99 took at most this",
        check.frame_ms.p99 / 1e3,
    );
    seconds(
        "frame_max",
        "No frame took longer than this",
        check.frame_ms.max / 1e3,
    );
    seconds(
        "uptime",
        "Observed-awake time since the agent started",
        health.uptime_ms as f64 / 1e3,
    );

    let queued = Family::<Vec<(String, String)>, Gauge>::default();
    for executor in &health.checks.executors {
        if let Some(count) = executor.queued {
            let labels = vec![("executor".to_owned(), executor.name.clone())];
            queued
                .get_or_create(&labels)
                .set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
    registry.register(
        "executor_queued",
        "Work items that no worker has taken yet",
        queued,
    );
    let counters = [
        (
            "observer_gaps",
            "Spans in which the agent itself did not run",
            health.observer.gaps,
        ),
        (
            "messages_dropped",
            "Messages that found the monitor's inbox full",
            health.observer.dropped,
        ),
        (
            "journal_dropped",
            "Journal lines that could not be written",
            health.checks.journal.dropped,
        ),
    ];
    for (name, help, value) in counters {
        registry.register(name, help, ConstCounter::new(value));
    }

    let mut text = String::new();
    // Writing into a string cannot fail.
    let _ = encode(&mut text, &registry);
    text
}
