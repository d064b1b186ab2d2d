//! Page compression: one file a codec, behind one `Compression`.
