// SPDX-License-Identifier: MIT
#pragma once

/// The library's version, as semver.org counts: before 1.0 a minor step may
/// change an interface.
#define RONDO_VERSION_MAJOR 0
/// See RONDO_VERSION_MAJOR.
#define RONDO_VERSION_MINOR 1
/// See RONDO_VERSION_MAJOR.
#define RONDO_VERSION_PATCH 0
