// Package version holds Slipway's version.
package version

// Module is Slipway's version, which is also written into the models it exports. It changes
// with a release, not with a commit, so that the same weights give the same bytes.
const Module = "0.2.0"
