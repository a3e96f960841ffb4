//! Who is in which rooms, who sends, which storm hits whom: all of it follows from the command line and the run's number,
//! so that every thread knows it.

use crate::cli::ChatArguments;
use crate::message::Codec;
use crate::plan::Pace;

/// The whole run, the same for every thread.
#[derive(Debug)]
pub(super) struct Plan {
    /// What bodies look like.
    pub(super) codec: Codec,
    pub(super) run: u32,
    pub(super) rooms: Vec<Room>,
    /// The rooms of each session; those that join while others send come last.
    pub(super) sessions: Vec<Vec<u32>>,
    /// Sessions that are there before the first message.
    pub(super) on_time: usize,
    /// Sessions that send: the first ones.
    pub(super) senders: usize,
    pub(super) workers: usize,
    pub(super) pace: Pace,
    /// Messages that a join asks for.
    pub(super) history: u32,
    /// The share of the sessions that a storm hits.
    pub(super) storm_share: f64,
}

/// A room and who sends in it.
#[derive(Debug)]
pub(super) struct Room {
    /// The name on the wire.
    pub(super) name: String,
    /// The sessions that send in it, in order; a sender's place in it is its number in the bodies.
    pub(super) senders: Vec<usize>,
    /// The run's number of its first sender: each sender in each room is a slot.
    pub(super) first_slot: usize,
}

impl Plan {
    pub(super) fn new(arguments: &ChatArguments, codec: Codec, run: u32) -> Self {
        let prefix = arguments.room.clone().unwrap_or_else(|| format!("loadtest-{run:08x}"));
        let (on_time, senders) = (arguments.sessions as usize, arguments.senders as usize);
        let mut dice = Dice(u64::from(run));
        let shares = shares(arguments.rooms, arguments.skew);
        let own = arguments.rooms_per_session.min(arguments.rooms) as usize;
        let sessions: Vec<_> =
            (0..on_time + arguments.late as usize).map(|_| draw(&shares, own, &mut dice)).collect();
        let mut rooms: Vec<Room> = (0..arguments.rooms)
            .map(|room| Room {
                name: format!("{prefix}-{room}"),
                senders: (0..senders).filter(|sender| sessions[*sender].contains(&room)).collect(),
                first_slot: 0,
            })
            .collect();
        let mut slots = 0;
        for room in &mut rooms {
            room.first_slot = slots;
            slots += room.senders.len();
        }
        Self {
            codec,
            run,
            rooms,
            sessions,
            on_time,
            senders,
            workers: arguments.common.threads(),
            pace: arguments.window.map_or(Pace::Rate(arguments.rate), Pace::Window),
            history: arguments.history,
            storm_share: arguments.storm_share,
        }
    }

    pub(super) fn room(&self, room: u32) -> &Room {
        &self.rooms[room as usize]
    }

    /// Senders in their rooms.
    pub(super) fn slots(&self) -> usize {
        self.rooms.last().map_or(0, |room| room.first_slot + room.senders.len())
    }

    /// The sessions that a thread drives, dealt out in turn.
    pub(super) fn sessions_of(&self, worker: usize) -> impl Iterator<Item = usize> + use<> {
        (worker..self.sessions.len()).step_by(self.workers)
    }

    /// Whether that storm cuts that session off.
    pub(super) fn is_hit(&self, storm: usize, session: usize) -> bool {
        let place = u64::from(self.run) << 32 | (storm as u64) << 24;
        Dice(place ^ session as u64).unit() < self.storm_share
    }
}

/// How likely each room is, all those before it included: the room of rank `r`, from 1, has a share of `r` to the power
/// of minus `skew`.
fn shares(rooms: u32, skew: f64) -> Vec<f64> {
    let weights = (1..=rooms).map(|rank| f64::from(rank).powf(-skew));
    let sums: Vec<f64> = weights
        .scan(0.0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        })
        .collect();
    let all = sums.last().copied().unwrap_or(1.0);
    sums.into_iter().map(|sum| sum / all).collect()
}

/// Draws that many different rooms.
fn draw(shares: &[f64], count: usize, dice: &mut Dice) -> Vec<u32> {
    let mut rooms: Vec<usize> = Vec::with_capacity(count);
    while rooms.len() < count {
        let at = dice.unit();
        let mut room = shares.partition_point(|share| *share <= at).min(shares.len() - 1);
        // Where rooms are few and uneven, chance alone could take very long.
        while rooms.contains(&room) {
            room = (room + 1) % shares.len();
        }
        rooms.push(room);
    }
    rooms.into_iter().map(|room| u32::try_from(room).unwrap_or(u32::MAX)).collect()
}

/// Numbers that look random and follow from the seed (SplitMix64).
struct Dice(u64);

impl Dice {
    /// From 0 up to 1.
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((word ^ word >> 31) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_follow_the_law_and_end_at_one() {
        let even = shares(4, 0.0);
        assert_eq!(even, [0.25, 0.5, 0.75, 1.0]);
        let skewed = shares(3, 1.0);
        let all = 1.0 + 1.0 / 2.0 + 1.0 / 3.0;
        assert!((skewed[0] - 1.0 / all).abs() < 1e-12 && (skewed[1] - 1.5 / all).abs() < 1e-12);
        assert!((skewed[2] - 1.0).abs() < 1e-12);
    }

    #[test]
    fn rooms_are_drawn_by_their_shares_and_never_twice_for_one() {
        let shares = shares(10, 1.0);
        let mut dice = Dice(7);
        let mut drawn = [0; 10];
        for _ in 0..10_000 {
            drawn[draw(&shares, 1, &mut dice)[0] as usize] += 1;
        }
        // A share of 0.341 and one of 0.034.
        assert!((3_200..3_600).contains(&drawn[0]), "{drawn:?}");
        assert!((250..450).contains(&drawn[9]), "{drawn:?}");
        for count in 0..=10 {
            let mut rooms = draw(&shares, count, &mut dice);
            rooms.sort_unstable();
            rooms.dedup();
            assert_eq!(rooms.len(), count);
        }
    }
}
