//! How fast requests may be made: so many a second, and some at once after a pause.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

/// Permits that grow back with time.
#[derive(Debug)]
struct Bucket {
    per_second: f64,
    burst: f64,
    permits: f64,
    at: Duration,
}

impl Bucket {
    /// Takes a permit, or says how long until there is one.
    fn take(&mut self, now: Duration) -> Result<(), Duration> {
        let gained = now.saturating_sub(self.at).as_secs_f64() * self.per_second;
        self.permits = (self.permits + gained).min(self.burst);
        self.at = now;
        if self.permits >= 1.0 {
            self.permits -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - self.permits) / self.per_second))
    }
}

/// See the module. Those who wait are served in their order.
#[derive(Debug)]
pub(crate) struct Pace {
    started: Instant,
    bucket: Mutex<Bucket>,
}

impl Pace {
    pub(crate) fn new(per_second: f32, burst: u32) -> Self {
        let (per_second, burst) = (f64::from(per_second).max(0.1), f64::from(burst.max(1)));
        let bucket = Bucket { per_second, burst, permits: burst, at: Duration::ZERO };
        Self { started: Instant::now(), bucket: Mutex::new(bucket) }
    }

    /// Waits until a request may be made.
    pub(crate) async fn wait(&self) {
        let mut bucket = self.bucket.lock().await;
        while let Err(pause) = bucket.take(self.started.elapsed()) {
            tokio::time::sleep(pause).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_at_once_and_then_one_by_one() {
        let mut bucket = Bucket { per_second: 10.0, burst: 5.0, permits: 5.0, at: Duration::ZERO };
        let mut now = Duration::from_secs(100);
        for _ in 0..5 {
            assert_eq!(bucket.take(now), Ok(()));
        }
        for _ in 0..20 {
            let pause = bucket.take(now).unwrap_err();
            assert!(pause <= Duration::from_millis(101), "{pause:?}");
            now += pause + Duration::from_nanos(100);
            assert_eq!(bucket.take(now), Ok(()));
        }
        now += Duration::from_hours(1);
        assert_eq!((0..10).filter(|_| bucket.take(now).is_ok()).count(), 5);
    }
}
