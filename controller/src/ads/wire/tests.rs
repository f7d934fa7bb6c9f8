use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DiscoveryRequest};
use envoy_types::pb::google::rpc;
use proptest::prelude::*;

use super::*;

fn field(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = u8::try_from(value.len()).expect("a short value");
    assert!(length < 0x80, "one byte of length");
    [&[tag << 3 | 2, length], value].concat()
}

fn delta(bytes: &[u8]) -> DeltaRequest {
    DeltaRequest::read(Bytes::copy_from_slice(bytes))
}

#[test]
fn a_request_is_read_as_it_was_written() {
    let written = DeltaDiscoveryRequest {
        node: Some(core::Node {
            id: "edge-1".to_owned(),
            cluster: "edge".to_owned(),
            user_agent_version_type: Some(UserAgentVersionType::UserAgentVersion(
                "1.40.0".to_owned(),
            )),
            ..core::Node::default()
        }),
        type_url: "type".to_owned(),
        resource_names_subscribe: vec!["a".to_owned(), "b".to_owned()],
        resource_names_unsubscribe: vec!["c".to_owned()],
        initial_resource_versions: [("d".to_owned(), "1".to_owned())].into(),
        response_nonce: "7".to_owned(),
        error_detail: Some(rpc::Status { message: "no".to_owned(), ..rpc::Status::default() }),
        ..DeltaDiscoveryRequest::default()
    };
    let read = delta(&written.encode_to_vec());
    assert_eq!(read.node, written.node);
    assert_eq!(read.type_url, "type");
    assert_eq!(read.subscribe, ["a", "b"]);
    assert_eq!(read.unsubscribe, ["c"]);
    assert_eq!(read.initial_versions, written.initial_resource_versions);
    assert_eq!((read.nonce.as_str(), read.error.as_deref()), ("7", Some("no")));

    let written = DiscoveryRequest {
        version_info: "3".to_owned(),
        resource_names: vec!["a".to_owned()],
        type_url: "type".to_owned(),
        response_nonce: "7".to_owned(),
        ..DiscoveryRequest::default()
    };
    let read = WorldRequest::read(written.encode_to_vec().into());
    assert_eq!((read.version.as_str(), read.type_url.as_str()), ("3", "type"));
    assert_eq!((read.names, read.nonce.as_str()), (vec!["a".to_owned()], "7"));
}

#[test]
fn a_name_that_is_not_utf8_is_left_out_and_its_neighbours_are_not() {
    let bytes = [field(3, b"a.test"), field(3, b"a\xff"), field(3, b"b.test")].concat();
    assert_eq!(delta(&bytes).subscribe, ["a.test", "b.test"]);
}

#[test]
fn a_name_longer_than_any_of_ours_is_left_out() {
    let request = DeltaDiscoveryRequest {
        resource_names_subscribe: vec!["x".repeat(NAME_BYTES_MAX + 1), "a".to_owned()],
        ..DeltaDiscoveryRequest::default()
    };
    assert_eq!(delta(&request.encode_to_vec()).subscribe, ["a"]);
}

#[test]
fn a_held_version_that_cannot_be_read_costs_itself_alone() {
    let good = [field(1, b"a"), field(2, b"1")].concat();
    let bad = [field(1, b"\xfe"), field(2, b"1")].concat();
    let cut = &good[..good.len() - 1];
    let bytes = [field(5, &bad), field(5, cut), field(5, &good)].concat();
    let read = delta(&bytes);
    assert_eq!(read.initial_versions, [("a".to_owned(), "1".to_owned())].into());
}

#[test]
fn an_error_text_keeps_its_words_on_one_line() {
    let bytes = field(7, &field(2, b"bad \xff\n\x1b[31mname"));
    assert_eq!(delta(&bytes).error.as_deref(), Some("bad \u{fffd}  [31mname"));
}

#[test]
fn a_field_of_another_type_is_passed_over() {
    // Tag 3 as a varint, tag 4 as 64 and tag 6 as 32 bits.
    let bytes = [&[3 << 3, 0x96, 0x01], &[4 << 3 | 1, 1, 2, 3, 4, 5, 6, 7, 8][..]].concat();
    let bytes = [bytes, vec![6 << 3 | 5, 1, 2, 3, 4], field(3, b"a")].concat();
    assert_eq!(delta(&bytes).subscribe, ["a"]);
}

#[test]
fn a_node_is_known_although_a_part_of_it_makes_no_sense() {
    let node = [field(1, b"edge\xff"), field(3, b"\x0a\xff"), field(7, b"1.40.0")].concat();
    let node = delta(&field(1, &node)).node.expect("a node");
    assert_eq!(node.id, "edge\u{fffd}");
    assert_eq!(node.metadata, None);
}

proptest! {
    #[test]
    fn whatever_arrives_is_read_as_far_as_it_makes_sense(
        junk in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let bytes = [field(2, b"type"), field(3, b"a.test"), junk].concat();
        let read = delta(&bytes);
        prop_assert_eq!(&read.subscribe[0], "a.test");
    }
}
