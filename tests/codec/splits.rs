//! Where a stream is cut by reads makes no difference to what is heard: random streams, right and wrong.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::RngSeed;

use crate::peer::*;

/// A message in fragments, with what comes between them; or a control frame of its own.
#[derive(Clone, Debug)]
enum Said {
    Message { content: Content, cuts: Vec<Index>, between: Vec<Vec<u8>> },
    Ping(Vec<u8>),
    Pong(Vec<u8>),
}

#[derive(Clone, Debug)]
enum Content {
    Text(String),
    Binary(Vec<u8>),
}

fn said() -> impl Strategy<Value = Said> {
    let content = prop_oneof![
        "[a-zé€😀]{0,40}".prop_map(Content::Text),
        vec(any::<u8>(), 0..300).prop_map(Content::Binary),
        "[ -~]{100,200}".prop_map(Content::Text),
    ];
    let control = || vec(any::<u8>(), 0..=125);
    prop_oneof![
        4 => (content, vec(any::<Index>(), 0..4), vec(vec(any::<u8>(), 0..6), 0..3))
            .prop_map(|(content, cuts, between)| Said::Message { content, cuts, between }),
        1 => control().prop_map(Said::Ping),
        1 => control().prop_map(Said::Pong),
    ]
}

/// The frames that say it, and what is to be heard.
fn frames(said: &[Said]) -> (Vec<u8>, Vec<Heard>) {
    let (mut stream, mut heard) = (Vec::new(), Vec::new());
    for said in said {
        match said {
            Said::Ping(payload) => {
                stream.extend(frame(PING, payload));
                heard.push(Heard::Ping(payload.clone()));
            }
            Said::Pong(payload) => {
                stream.extend(frame(PONG, payload));
                heard.push(Heard::Pong(payload.clone()));
            }
            Said::Message { content, cuts, between } => {
                let (begin, bytes, message) = match content {
                    Content::Text(text) => (TEXT_BEGIN, text.as_bytes(), Heard::Text(text.clone())),
                    Content::Binary(bytes) => {
                        (BINARY_BEGIN, &bytes[..], Heard::Binary(bytes.clone()))
                    }
                };
                for (number, part) in fragments(bytes, cuts).iter().enumerate() {
                    let opcode = if number == 0 { begin } else { CONTINUE };
                    let end = if number == cuts.len() { END } else { 0 };
                    stream.extend(frame(opcode | end, part));
                    if let Some(payload) = between.get(number).filter(|_| end == 0) {
                        stream.extend(frame(PING, payload));
                        heard.push(Heard::Ping(payload.clone()));
                    }
                }
                heard.push(message);
            }
        }
    }
    (stream, heard)
}

/// `bytes` cut at each of `cuts`.
fn fragments<'a>(bytes: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    places.sort_unstable();
    places.push(bytes.len());
    let mut start = 0;
    let cut = |end| &bytes[std::mem::replace(&mut start, end)..end];
    places.into_iter().map(cut).collect()
}

/// `stream` in pieces of those lengths, over and over.
fn pieces<'a>(mut stream: &'a [u8], lengths: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for &length in lengths.iter().cycle() {
        if stream.is_empty() {
            break;
        }
        let (piece, rest) = stream.split_at(length.min(stream.len()));
        pieces.push(piece);
        stream = rest;
    }
    pieces
}

/// Requires that cuts of all kinds are heard as the whole is, and gives what that is.
fn heard_alike(
    stream: &[u8],
    lengths: &[usize],
    message_bytes_max: usize,
) -> Result<Vec<Heard>, TestCaseError> {
    let whole = hear([stream], message_bytes_max);
    prop_assert_eq!(&hear(pieces(stream, lengths), message_bytes_max), &whole, "in pieces");
    prop_assert_eq!(&hear(stream.chunks(1), message_bytes_max), &whole, "byte by byte");
    if stream.len() <= 300 {
        for at in 0..=stream.len() {
            let (start, end) = stream.split_at(at);
            prop_assert_eq!(&hear([start, end], message_bytes_max), &whole, "cut at {}", at);
        }
    }
    Ok(whole)
}

/// The same streams in every run.
fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 400,
        rng_seed: RngSeed::Fixed(6455),
        failure_persistence: None,
        ..Default::default()
    }
}

fn lengths() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![vec(1..20_usize, 1..8), vec(1..400_usize, 1..8)]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn of_valid_streams(said in vec(said(), 1..6), lengths in lengths()) {
        let (stream, expected) = frames(&said);
        prop_assert_eq!(heard_alike(&stream, &lengths, MESSAGE_BYTES_MAX)?, expected);
    }

    #[test]
    fn of_streams_with_wrong_bytes(
        said in vec(said(), 1..6),
        wrong in vec((any::<Index>(), 1..=255_u8), 1..4),
        lengths in lengths(),
        message_bytes_max in prop_oneof![0..400_usize, Just(MESSAGE_BYTES_MAX)],
    ) {
        let (mut stream, _) = frames(&said);
        for (at, bits) in wrong {
            let at = at.index(stream.len());
            stream[at] ^= bits;
        }
        heard_alike(&stream, &lengths, message_bytes_max)?;
    }

    #[test]
    fn of_frames_of_any_kind(
        frames in vec((any::<u8>(), vec(any::<u8>(), 0..30)), 1..6),
        begin in any::<bool>(),
        lengths in lengths(),
    ) {
        // Mostly a known opcode without reserved bits, else the first frame would nearly always be the last heard.
        let mut stream = if begin { frame(TEXT_BEGIN, b"begun") } else { Vec::new() };
        for (first, payload) in frames {
            let first = if first & 0x70 == 0x70 { first } else { first & 0x8a };
            stream.extend(frame(first, &payload));
        }
        heard_alike(&stream, &lengths, 60)?;
    }

    #[test]
    fn of_noise(stream in vec(any::<u8>(), 0..60), lengths in lengths()) {
        heard_alike(&stream, &lengths, MESSAGE_BYTES_MAX)?;
    }
}
