//! Chat on a shard, one step at a time: what races between what is read and what is said can be brought about at will.

mod access;
mod direct;
mod hall;
mod joining;
mod pressure;
mod reading;
mod tokens;
mod users;
