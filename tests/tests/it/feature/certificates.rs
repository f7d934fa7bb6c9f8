//! Certificates and keys of every kind: what Envoy refuses is refused before, with a reason, and
//! what Envoy serves is served.
//!
//! Each content is judged three times: by the controller, by Envoy as it is written, and by Envoy
//! as the controller hands it on, the latter with a handshake.

use contour_core::ir::{Certificate, CertificateAuthority};
use contour_tests::certificates::{authority, fixtures};
use contour_tests::secrets::parts::{self, tag};
use contour_tests::secrets::table::Expected::{Refused, Rewritten, Served, Stricter};
use contour_tests::secrets::table::{self, edited};
use contour_tests::secrets::{CERTIFICATE, Content, blocks, pem};
use contour_tests::verdicts::Judge;

#[tokio::test(flavor = "multi_thread")]
async fn what_envoy_refuses_is_refused_with_a_reason_and_what_it_serves_is_served() {
    let mut judge = Judge::start().await;
    let mut wrong = Vec::new();
    for (content, expected) in table::all() {
        let Content { what, chain, key } = &content;
        let ours = Certificate::parse(chain, key);
        let reason = ours.as_ref().map(|_| ()).map_err(|error| match error {
            Ok(error) => error.to_string(),
            Err(error) => error.to_string(),
        });
        let written = judge.certificate(chain, key).await;
        let handed = match &ours {
            Ok(ours) => match judge.certificate(&ours.chain_pem, &ours.key_pem).await {
                Ok(()) => match judge.handshake().await {
                    Ok(shown) if blocks(&ours.chain_pem)[0].1 == shown.as_ref() => Ok(()),
                    Ok(_) => Err("another certificate was shown".to_owned()),
                    Err(error) => Err(format!("{error:#}")),
                },
                Err(refused) => Err(refused),
            },
            Err(_) => Ok(()),
        };
        let is_right = match expected {
            Served => reason.is_ok() && written.is_ok(),
            Rewritten => reason.is_ok() && written.is_err(),
            Refused(words) => {
                written.is_err() && reason.as_ref().is_err_and(|reason| reason.contains(words))
            }
            Stricter(words) => {
                written.is_ok() && reason.as_ref().is_err_and(|reason| reason.contains(words))
            }
        };
        if !is_right || handed.is_err() {
            wrong.push(format!(
                "{what}: expected {expected:?}\n  ours {reason:?}\n  Envoy, as written {written:?}\n  \
                 Envoy, as handed on {handed:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    judge.is_alive().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_that_envoy_refuses_is_refused_with_a_reason() {
    let pair = fixtures::sec1();
    let crt = pair.certificate.as_str();
    let unreadable = edited(&pair, |leaf| {
        *leaf.at(parts::SUBJECT) = parts::common_name(tag::UTF8, b"\xff");
    });
    let nobody = edited(&pair, |leaf| *leaf.at(parts::SUBJECT) = parts::sequence([]));
    let staple = edited(&pair, |leaf| {
        leaf.at(parts::EXTENSIONS).children_mut().push(parts::tls_feature(&[5]));
    });
    let half = crt.split_at(crt.len() / 2).0;
    let mut judge = Judge::start().await;
    for (what, bundle, expected) in [
        ("one", crt.to_owned(), Served),
        ("two", format!("{crt}{}", authority().pem()), Served),
        ("the same twice", crt.repeat(2), Served),
        ("100", crt.repeat(100), Served),
        ("a weak one", fixtures::rsa1024().certificate, Served),
        ("one of another curve", fixtures::secp256k1().certificate, Served),
        ("one that names nobody", nobody, Served),
        ("one that demands a response", staple, Served),
        ("a key beside it", format!("{crt}{}", pair.key), Served),
        ("nothing", String::new(), Refused("no PEM certificate")),
        ("a key", pair.key.clone(), Refused("no PEM certificate")),
        ("half a second one", format!("{crt}{half}"), Refused("broken PEM")),
        ("a second that is none", format!("{crt}{}", pem(CERTIFICATE, b"abc")), {
            Refused("number 2")
        }),
        ("a second that is not UTF-8", format!("{crt}{unreadable}"), Refused("number 2")),
    ] {
        let ours = CertificateAuthority::parse(&bundle);
        let written = judge.authority(&bundle).await;
        match expected {
            Refused(words) => {
                let reason = ours.expect_err(what).to_string();
                assert!(reason.contains(words), "{what}: {reason}");
                assert!(written.is_err(), "{what}: Envoy takes it");
            }
            Served | Rewritten | Stricter(_) => {
                assert_eq!(written, Ok(()), "{what}");
                assert_eq!(judge.authority(&ours.expect(what).pem).await, Ok(()), "{what}");
            }
        }
    }
    judge.is_alive().await.unwrap();
}
