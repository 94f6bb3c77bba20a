//! hidden
crate::in_both_modes! {}
