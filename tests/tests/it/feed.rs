//! Sources of claims: a file, a verification service, and what can be wrong
//! with either.

mod faults;
mod file;
mod service;
mod trouble;
mod verdicts;
