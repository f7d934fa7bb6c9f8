//! Whatever a Secret holds: what the controller takes of it, Envoy takes too, and what Envoy would
//! serve, the controller takes, but for what `docs/secrets.md` lists.

use std::sync::atomic::{AtomicU64, Ordering};

use contour_core::ir::{Certificate, CertificateAuthority};
use contour_tests::secrets::{Content, Generator, blocks};
use contour_tests::verdicts::Judge;
use contour_tests::worlds;

/// Contents that one generator makes: each follows from the seed and its number.
const BATCH: u64 = 50;
/// Of so many contents that are taken, one is tried with a handshake.
const HANDSHAKES: u64 = 4;

/// What we refuse though Envoy serves it (`docs/secrets.md`): words of the reasons.
const STRICTER: [&str; 5] = [
    "not text but",
    "malformed signature algorithm",
    "behind its end",
    "malformed public key",
    "illegal section start",
];

/// How many contents were taken and how many were not.
#[derive(Default)]
struct Tally {
    taken: AtomicU64,
    refused: AtomicU64,
    shaken: AtomicU64,
}

/// Puts contents to the controller's checks, and what they let through to Envoy.
async fn try_batch(judge: &mut Judge, seed: u64, tally: &Tally) -> Result<(), String> {
    let mut generator = Generator::new(seed);
    for number in 0..BATCH {
        let content = generator.content();
        match Certificate::parse(&content.chain, &content.key) {
            Ok(ours) => {
                let verdict = judge.certificate(&ours.chain_pem, &ours.key_pem).await;
                verdict.map_err(|reason| blame(seed, number, &content, &reason))?;
                let taken = tally.taken.fetch_add(1, Ordering::Relaxed);
                if taken.is_multiple_of(HANDSHAKES) {
                    shake(judge, &ours).await.map_err(|why| blame(seed, number, &content, &why))?;
                    tally.shaken.fetch_add(1, Ordering::Relaxed);
                }
            }
            Err(error) => {
                tally.refused.fetch_add(1, Ordering::Relaxed);
                let reason = error.map_or_else(|e| e.to_string(), |e| e.to_string());
                let is_served = judge.certificate(&content.chain, &content.key).await.is_ok()
                    && judge.handshake().await.is_ok();
                if is_served && !STRICTER.iter().any(|words| reason.contains(words)) {
                    let reason = format!("serves it, but we: {reason}");
                    return Err(blame(seed, number, &content, &reason));
                }
            }
        }
        if number % 5 == 0 {
            let bundle = generator.bundle();
            if let Ok(ours) = CertificateAuthority::parse(&bundle.chain) {
                let verdict = judge.authority(&ours.pem).await;
                verdict.map_err(|reason| blame(seed, number, &bundle, &reason))?;
            }
        }
    }
    Ok(())
}

async fn shake(judge: &Judge, ours: &Certificate) -> Result<(), String> {
    let shown = judge.handshake().await.map_err(|error| format!("{error:#}"))?;
    let leaf = blocks(&ours.chain_pem).remove(0).1;
    if leaf == shown.as_ref() { Ok(()) } else { Err("another certificate was shown".to_owned()) }
}

fn blame(seed: u64, number: u64, content: &Content, reason: &str) -> String {
    let Content { what, chain, key } = content;
    format!("seed {seed}, number {number}: {what}\nEnvoy: {reason}\n{chain}{key}")
}

#[tokio::test(flavor = "multi_thread")]
async fn envoy_and_the_controller_take_the_same_secrets() {
    let contents = worlds::cases("CONTOUR_SECRETS", 3_000, 300_000);
    let seed = worlds::seed();
    let tally = Tally::default();
    let mut judge = Judge::start().await;
    for batch in 0..contents.div_ceil(BATCH) {
        let tried = try_batch(&mut judge, seed.wrapping_add(batch), &tally).await;
        tried.unwrap_or_else(|blame| panic!("CONTOUR_SEED={seed}: {blame}"));
    }
    judge.is_alive().await.unwrap();
    // Contents that are all refused, or all taken, would prove nothing.
    let [taken, refused, shaken] =
        [tally.taken, tally.refused, tally.shaken].map(AtomicU64::into_inner);
    assert!(taken > contents / 10, "{taken} of {contents} are taken");
    assert!(refused > contents / 4, "{refused} of {contents} are refused");
    assert!(shaken > contents / 50, "{shaken} of {contents} were tried with a handshake");
}
