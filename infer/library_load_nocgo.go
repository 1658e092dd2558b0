//go:build !cgo

package infer

func canLoad() error { return ErrWithoutCgo }

func loadedVersion(string) (string, error) { return "", ErrWithoutCgo }
