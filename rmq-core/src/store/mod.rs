//! L3: the message store on disk.
