//! The Prometheus metrics of sagas, sampled from the tables now and then: nothing of them is on a call's path.

use prometheus::{GaugeVec, IntGaugeVec, Opts, Registry};
use seam_runtime::serve;
use seam_store::SagaState;

/// The families of all contexts that have sagas.
pub struct SagaMetrics {
    sagas: IntGaugeVec,
    oldest: GaugeVec,
}

const LABELS: [&str; 3] = ["context", "kind", "state"];

impl SagaMetrics {
    /// # Errors
    /// When `registry` has metrics of these names already.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let sagas = IntGaugeVec::new(Opts::new("seam_sagas", "Sagas in process, by state"), &LABELS)?;
        let oldest = Opts::new("seam_saga_oldest_seconds", "Age of the oldest saga in process, by state");
        let oldest = GaugeVec::new(oldest, &LABELS)?;
        registry.register(Box::new(sagas.clone()))?;
        registry.register(Box::new(oldest.clone()))?;
        Ok(Self { sagas, oldest })
    }

    /// Counts the sagas of all contexts. Call it every `limits::EVENT_SAMPLE_S`. May wait for a disk.
    pub fn sample(&self, registry: &serve::Registry) {
        let now_ms = registry.clock().wall_ms();
        // All is read before, so that a scrape finds gaps for some microseconds only.
        let mut sampled = Vec::new();
        for generation in registry.generations() {
            let counts = generation.database().and_then(|database| database.saga_counts().ok());
            sampled.extend(counts.map(|counts| (generation.context().clone(), counts)));
        }
        self.sagas.reset();
        self.oldest.reset();
        for (context, counts) in sampled {
            for count in counts {
                let labels = [context.as_str(), count.kind.as_str(), count.state.name()];
                self.sagas.with_label_values(&labels).set(i64::try_from(count.sagas).unwrap_or(i64::MAX));
                let age_ms = now_ms.saturating_sub(count.oldest_ms);
                self.oldest.with_label_values(&labels).set(age_ms as f64 / 1_000.0);
                // An alarm needs the figure from the first one on, and again when none is stuck any more.
                let stuck = [context.as_str(), count.kind.as_str(), SagaState::Stuck.name()];
                self.sagas.with_label_values(&stuck);
            }
        }
    }
}
