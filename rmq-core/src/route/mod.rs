//! L4: the route table, pure.
