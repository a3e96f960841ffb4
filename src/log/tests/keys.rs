//! Positions, and the key under which a message is stored once.

use super::*;
use crate::log::Refused;
use crate::log::engine::{Keeping, Rule};
use crate::log::ruling::Ruling;

pub(super) const CONFLICT: Outcome = Outcome::Refused(Refused::Conflict);
pub(super) const EXPIRED: Outcome = Outcome::Refused(Refused::Expired);

#[test]
fn positions_rise_over_all_conversations_and_point_back_within_one() {
    with_each(|bench| {
        let step = bench.seq_step;
        let (a, b) = (room("a"), room("b"));
        let drafts =
            [draft(&a, id(NOW, 1), "1"), draft(&b, id(NOW, 2), "2"), draft(&a, id(NOW, 3), "3")];
        let stored = |n, prev| Outcome::Stored { seq: n * step, prev: prev * step, time: NOW };
        assert_eq!(bench.store(&drafts, NOW), [stored(1, 0), stored(2, 0), stored(3, 1)]);
        let next = [draft(&b, id(NOW, 4), "4")];
        assert_eq!(bench.store(&next, NOW), [stored(4, 2)]);
    });
}

#[test]
fn time_never_goes_backwards() {
    with_each(|bench| {
        let times: Vec<_> = [NOW, NOW - 500, NOW + 1, NOW]
            .into_iter()
            .zip(1..)
            .map(|(now, n)| bench.store(&[draft(&room("a"), id(NOW, n), "1")], now).remove(0))
            .map(|outcome| match outcome {
                Outcome::Stored { time, .. } => time,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(times, [NOW, NOW, NOW + 1, NOW + 1]);
    });
}

#[test]
fn what_is_sent_again_gets_the_first_answer() {
    with_each(|bench| {
        let first = draft(&room("a"), id(NOW, 1), r#"{"x": 1}"#);
        let seq = seq(bench.store(std::slice::from_ref(&first), NOW).remove(0));
        let known = Outcome::Known { seq, time: NOW };
        assert_eq!(bench.store(&[first.clone(), first.clone()], NOW + 5), [known, known]);
        let other = draft(&room("a"), id(NOW, 1), r#"{"x":1}"#);
        assert_eq!(bench.store(&[other, first], NOW + 5), [CONFLICT, known]);
        assert_eq!(bench.page(&open(&View::room("a"), 10)).ends.len(), 1);
    });
}

#[test]
fn a_key_is_of_one_user_in_one_conversation() {
    with_each(|bench| {
        let (key, a) = (id(NOW, 1), room("a"));
        let mut bob = draft(&a, key, "3");
        bob.author.user = "bob".into();
        let drafts = [draft(&a, key, "1"), draft(&room("b"), key, "2"), bob];
        let outcomes = bench.store(&drafts, NOW);
        assert!(outcomes.into_iter().map(seq).is_sorted_by(|one, next| one < next));
    });
}

#[test]
fn one_batch_may_hold_a_key_twice() {
    with_each(|bench| {
        let (a, step) = (room("a"), bench.seq_step);
        let drafts = [
            draft(&a, id(NOW, 1), "1"),
            draft(&a, id(NOW, 1), "1"),
            draft(&a, id(NOW, 1), "2"),
            draft(&a, id(NOW, 2), "2"),
        ];
        let expected = [
            Outcome::Stored { seq: step, prev: 0, time: NOW },
            Outcome::Known { seq: step, time: NOW },
            CONFLICT,
            Outcome::Stored { seq: 2 * step, prev: step, time: NOW },
        ];
        assert_eq!(bench.store(&drafts, NOW), expected);
    });
}

#[test]
fn keys_too_old_or_too_far_ahead_are_refused() {
    with_each(|bench| {
        let a = room("a");
        let drafts = [NOW - WINDOW - 1, NOW - WINDOW, NOW + WINDOW, NOW + WINDOW + 1]
            .map(|made| draft(&a, id(made, 1), "1"));
        let outcomes = bench.store(&drafts, NOW);
        assert_eq!([outcomes[0], outcomes[3]], [EXPIRED, EXPIRED]);
        seq(outcomes[1]);
        seq(outcomes[2]);
    });
}

#[test]
fn a_key_is_kept_a_window_long_from_when_it_was_stored_or_made() {
    with_each(|bench| {
        // Made long before it was stored, and long after.
        for (made, until) in [(NOW - WINDOW, NOW + WINDOW), (NOW + WINDOW, NOW + 2 * WINDOW)] {
            let late = draft(&room("a"), id(made, 1), "1");
            let conflicting = draft(&room("a"), id(made, 1), "2");
            let seq = seq(bench.store(std::slice::from_ref(&late), NOW).remove(0));
            let known = Outcome::Known { seq, time: NOW };
            let both = [late, conflicting];
            assert_eq!(bench.store(&both, until), [known, CONFLICT]);
            assert_eq!(bench.store(&both, until + 1), [EXPIRED, EXPIRED]);
        }
    });
}

#[test]
fn a_clock_that_was_wrong_for_a_moment_does_not_age_keys() {
    with_each(|bench| {
        let year = 365 * 24 * WINDOW;
        seq(bench.store(&[draft(&room("a"), id(NOW + year, 1), "1")], NOW + year).remove(0));
        seq(bench.store(&[draft(&room("a"), id(NOW, 2), "2")], NOW).remove(0));
    });
}

#[test]
fn what_is_not_wanted_is_not_stored_but_what_is_stored_stays_known() {
    with_each(|bench| {
        let a = room("a");
        let ruled = |n, body, ruling| Draft {
            ruling: Some(Box::new(ruling)),
            ..draft(&a, id(NOW, n), body)
        };
        let denied = || Ruling::Denied(Some("no".into()));
        let drafts = [
            ruled(1, "1", denied()),
            ruled(2, "2", Ruling::Unanswered),
            ruled(3, "3", Ruling::Replaced("33".into())),
            // The same again within a batch, and another one.
            ruled(3, "3", denied()),
            ruled(3, "33", Ruling::Allowed),
            ruled(4, "4", Ruling::Allowed),
        ];
        let [denied_now, unanswered, Outcome::Stored { seq, prev: 0, time }, known, conflict, _] =
            bench.store(&drafts, NOW)[..]
        else {
            panic!("the third is stored");
        };
        assert_eq!(denied_now, Outcome::Refused(Refused::Denied));
        assert_eq!(unanswered, Outcome::Refused(Refused::Unanswered));
        assert_eq!((known, conflict), (Outcome::Known { seq, time }, CONFLICT));
        let again = [
            ruled(3, "3", Ruling::Unanswered),
            ruled(3, "3", Ruling::Replaced("34".into())),
            draft(&a, id(NOW, 3), "33"),
            ruled(4, "4", Ruling::Replaced("44".into())),
            ruled(1, "1", Ruling::Allowed),
        ];
        let outcomes = bench.store(&again, NOW);
        assert_eq!(outcomes[..3], [known, known, CONFLICT]);
        assert!(matches!(outcomes[3..], [Outcome::Known { .. }, Outcome::Stored { .. }]));
    });
}

#[test]
fn the_key_of_what_was_replaced_outlives_it() {
    with_each(|bench| {
        let a = room("a");
        let sent = Draft {
            ruling: Some(Box::new(Ruling::Replaced("other".into()))),
            ..draft(&a, id(NOW, 1), "sent")
        };
        let Outcome::Stored { seq, time, .. } = bench.store(&[sent], NOW)[0] else {
            panic!("it is stored");
        };
        let nothing = |_: &Conversation| Rule {
            keeping: Keeping::Durable,
            age_max: None,
            messages_max: Some(0),
        };
        let removed = bench.engine.tidy(&nothing, NOW, 64).expect("it can be written").removed;
        assert_eq!(removed, 1);
        let again = [draft(&a, id(NOW, 1), "sent"), draft(&a, id(NOW, 1), "other")];
        assert_eq!(bench.store(&again, NOW), [Outcome::Known { seq, time }, CONFLICT]);
        assert_eq!(bench.store(&[draft(&a, id(NOW, 1), "sent")], NOW + WINDOW + 1), [EXPIRED]);
    });
}
