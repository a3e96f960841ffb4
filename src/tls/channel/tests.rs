//! Two channels with the same secrets, one the other's peer: whatever is sealed comes out as it was, however it is cut
//! on the way, and what was touched does not.

use proptest::collection::vec;
use proptest::prelude::*;
use rustls::ConnectionTrafficSecrets;
use rustls::crypto::cipher::{AeadKey, Iv};

use super::*;
use crate::tls::half::{OVERHEAD_BYTES_MAX, PLAIN_BYTES_MAX};

fn secret(is_aes: bool) -> (u64, ConnectionTrafficSecrets) {
    let (key, iv) = (AeadKey::from([7; 32]), Iv::from([9; 12]));
    let secret = match is_aes {
        true => ConnectionTrafficSecrets::Aes256Gcm { key, iv },
        false => ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv },
    };
    (3, secret)
}

fn channel(version: Version, is_aes: bool) -> Channel {
    Channel {
        incoming: Half::new(version, secret(is_aes)),
        outgoing: Half::new(version, secret(is_aes)),
        updates: None,
        partial: Vec::new(),
        pending: Vec::new(),
        pending_sent: 0,
        partial_since: None,
        updates_in_a_row: 0,
        is_update_pending: false,
        is_deaf: false,
        is_mute: false,
    }
}

fn kinds() -> impl Strategy<Value = (Version, bool)> {
    (prop_oneof![Just(Version::Tls12), Just(Version::Tls13)], any::<bool>())
}

/// Gives `bytes` to a channel as a socket would, so many at a time; the stream that comes of them.
fn receive(channel: &mut Channel, bytes: &[u8], step: usize) -> (Vec<u8>, Option<End>) {
    let mut stream = Vec::new();
    for chunk in bytes.chunks(step) {
        let mut buffer = [channel.partial(), chunk].concat();
        let opened = channel.open(&mut buffer);
        stream.extend_from_slice(&buffer[..opened.plain]);
        if opened.end.is_some() {
            return (stream, opened.end);
        }
    }
    (stream, None)
}

fn sealed(channel: &mut Channel, pieces: &[Vec<u8>]) -> Vec<u8> {
    let slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
    let mut records = Vec::new();
    channel.seal(&slices, &mut records);
    records
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_stream_comes_out_as_it_went_in(
        (version, is_aes) in kinds(),
        writes in vec(vec(vec(any::<u8>(), 0..9000), 0..5), 1..4),
        step in prop_oneof![1..40_usize, 1000..70_000_usize],
    ) {
        let (mut here, mut there) = (channel(version, is_aes), channel(version, is_aes));
        let mut records = Vec::new();
        for write in &writes {
            records.extend(sealed(&mut here, write));
        }
        let plain = writes.concat().concat();
        let (stream, end) = receive(&mut there, &records, step);
        prop_assert!(stream == plain && end.is_none());
        prop_assert!(there.partial().is_empty());
        // No more records than are needed.
        let most: usize = writes
            .iter()
            .map(|write| write.concat().len())
            .map(|len| len + len.div_ceil(PLAIN_BYTES_MAX) * OVERHEAD_BYTES_MAX)
            .sum();
        prop_assert!(records.len() <= most);
        here.close();
        let (rest, end) = receive(&mut there, here.pending(), step);
        prop_assert!(rest.is_empty() && end == Some(End::Notified));
        prop_assert!(sealed(&mut here, &[vec![1]]).is_empty(), "nothing follows the end");
    }

    #[test]
    fn what_was_touched_is_not_taken_for_what_was_sent(
        (version, is_aes) in kinds(),
        texts in vec(vec(any::<u8>(), 1..200), 1..4),
        place in any::<prop::sample::Index>(),
        bit in 0..8_u32,
    ) {
        let (mut here, mut there) = (channel(version, is_aes), channel(version, is_aes));
        let mut records = Vec::new();
        for text in &texts {
            records.extend(sealed(&mut here, std::slice::from_ref(text)));
        }
        let at = place.index(records.len());
        records[at] ^= 1 << bit;
        let (stream, end) = receive(&mut there, &records, records.len());
        let plain = texts.concat();
        prop_assert!(plain.starts_with(&stream) && stream.len() < plain.len());
        match end {
            Some(End::Broken(fault)) => {
                prop_assert!(there.is_deaf() && there.is_mute());
                // The alert is the last that the other side hears.
                let (_, end) = receive(&mut here, there.pending(), 1000);
                prop_assert!(end == Some(End::Notified), "{fault:?}");
            }
            // A length that was made larger is waited for.
            end => prop_assert!(end.is_none() && !there.partial().is_empty()),
        }
    }

    #[test]
    fn any_bytes_at_all_are_survived(
        (version, is_aes) in kinds(),
        bytes in vec(prop_oneof![Just(23), Just(3), Just(0), any::<u8>()], 0..300),
        step in 1..50_usize,
    ) {
        let mut there = channel(version, is_aes);
        let (stream, _) = receive(&mut there, &bytes, step);
        prop_assert!(stream.is_empty(), "nobody without the secret says anything");
        prop_assert!(there.partial().len() <= bytes.len());
    }
}

#[test]
fn a_record_out_of_its_place_is_refused() {
    for version in [Version::Tls12, Version::Tls13] {
        let (mut here, mut there) = (channel(version, true), channel(version, true));
        let first = sealed(&mut here, &[b"first".to_vec()]);
        let second = sealed(&mut here, &[b"second".to_vec()]);
        let (stream, end) = receive(&mut there, &[second, first].concat(), 1000);
        assert_eq!((stream, end), (Vec::new(), Some(End::Broken(Fault::Mac))));
    }
}

#[test]
fn an_idle_channel_lets_go_of_its_keys_and_goes_on() {
    let (mut here, mut there) = (channel(Version::Tls13, true), channel(Version::Tls13, true));
    for round in 0..3_u8 {
        let records = sealed(&mut here, &[vec![round]]);
        assert_eq!(receive(&mut there, &records, 1000), (vec![round], None));
        // At the first look it was used a moment ago, at the second it was not.
        assert!(here.tend() && here.tend() && there.tend() && there.tend());
        assert!(here.outgoing.is_at_rest() && there.incoming.is_at_rest());
    }
}
