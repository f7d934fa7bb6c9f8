use super::*;

const NOW: i64 = 1_800_000_000;

fn made(now: i64, days: u32, previous: &[String]) -> Certificates {
    certificates("demo", (now, days), previous).unwrap()
}

fn in_use(made: &Certificates, now: i64) -> Vec<String> {
    let texts = [&made.authorities, &made.contour.certificate, &made.envoy.certificate];
    authorities_in_use(texts.into_iter().map(String::as_str), now)
}

fn der(text: &str) -> Vec<u8> {
    blocks(text).remove(0).1
}

#[test]
fn each_side_has_its_names_and_its_usage_and_nothing_more() {
    let made = made(NOW, 7, &[]);
    for (pair, name, server) in [(&made.contour, "contour", true), (&made.envoy, "envoy", false)] {
        let der = der(&pair.certificate);
        let (_, leaf) = X509Certificate::from_der(&der).unwrap();
        let names = leaf.subject_alternative_name().unwrap().unwrap();
        let names: Vec<_> = names.value.general_names.iter().map(ToString::to_string).collect();
        let expected = ["", ".demo", ".demo.svc", ".demo.svc.cluster.local"]
            .map(|suffix| format!("DNSName({name}{suffix})"));
        assert_eq!(names, expected);
        let usage = leaf.extended_key_usage().unwrap().unwrap().value;
        // Replicas of the controller are clients of each other.
        assert_eq!((usage.server_auth, usage.client_auth), (server, true), "{name}");
        assert!(leaf.key_usage().unwrap().unwrap().value.digital_signature());
        assert!(!leaf.is_ca());
        let validity = leaf.validity();
        assert_eq!(validity.not_before.timestamp(), NOW - SKEW);
        assert_eq!(validity.not_after.timestamp(), NOW + 7 * DAY);
    }
    let der = der(&made.authorities);
    let (_, authority) = X509Certificate::from_der(&der).unwrap();
    assert!(authority.is_ca());
    let usage = authority.key_usage().unwrap().unwrap().value;
    assert!(usage.key_cert_sign() && !usage.digital_signature());
}

#[test]
fn the_authority_before_stays_and_the_one_before_that_goes() {
    let first = made(NOW, 365, &[]);
    let second = made(NOW, 365, &in_use(&first, NOW));
    let third = made(NOW, 365, &in_use(&second, NOW));
    let of = |made: &Certificates| -> Vec<String> {
        blocks(&made.authorities).into_iter().map(|(text, _)| text.to_owned()).collect()
    };
    let (first, second, third) = (of(&first), of(&second), of(&third));
    assert_eq!((first.len(), second.len(), third.len()), (1, 2, 2));
    assert_eq!(second[1], first[0]);
    assert_eq!(third[1], second[0]);
}

#[test]
fn what_has_expired_or_signed_nothing_does_not_stay() {
    let old = made(NOW, 1, &[]);
    assert_eq!(in_use(&old, NOW + DAY - 1).len(), 1);
    assert_eq!(in_use(&old, NOW + DAY), Vec::<String>::new());
    let stranger = made(NOW, 1, &[]);
    let texts = [&old.authorities, &stranger.contour.certificate];
    let kept = authorities_in_use(texts.into_iter().map(String::as_str), NOW);
    assert_eq!(kept, Vec::<String>::new());
    let twice = [&old.authorities, &old.authorities, &old.envoy.certificate];
    assert_eq!(authorities_in_use(twice.into_iter().map(String::as_str), NOW).len(), 1);
}

#[test]
fn two_sides_that_were_left_with_different_authorities_are_both_trusted() {
    let (one, two) = (made(NOW, 365, &[]), made(NOW, 365, &[]));
    let texts =
        [&one.authorities, &one.contour.certificate, &two.authorities, &two.envoy.certificate];
    let kept = authorities_in_use(texts.into_iter().map(String::as_str), NOW);
    assert_eq!(kept.len(), 2);
}

#[test]
fn garbage_is_no_certificate() {
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----";
    for text in ["", "garbage", "-----BEGIN CERTIFICATE-----", broken] {
        assert_eq!(authorities_in_use([text].into_iter(), NOW), Vec::<String>::new());
        assert_eq!(earliest_end([text].into_iter()), None);
    }
}

#[test]
fn the_end_is_that_of_the_first_certificate_to_expire() {
    let (long, short) = (made(NOW, 300, &[]), made(NOW, 20, &[]));
    let texts = [&short.authorities, &long.envoy.certificate, &short.contour.certificate];
    assert_eq!(earliest_end(texts.into_iter().map(String::as_str)), Some(NOW + 20 * DAY));
}
