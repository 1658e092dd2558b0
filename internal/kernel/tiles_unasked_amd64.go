//go:build amd64 && !linux

package kernel

// tilesOfCPU returns nil: other systems are not asked for AMX.
func tilesOfCPU() func(args *byte) { return nil }

// permitTiles permits nothing, as there are no tiles.
func permitTiles() error { return nil }
