//! The portal in real Chromium.
