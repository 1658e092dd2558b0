// Pods runs the pods of an indexed Job's manifest in runc's containers on this machine, with what
// the manifest says of them: the command, the environment, the volumes, the limits, how many at a
// time, and how often one that failed is made anew for its index. It is no Kubernetes: nothing is
// scheduled, and the image is a folder. A field of the manifest that it does not know is an error.
// See usage.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

const usage = `usage: pods [flags] JOB.yaml VOLUME=FOLDER...

Runs the pods of an indexed Job in runc's containers. Each VOLUME of the manifest is a FOLDER. The
image is this machine's /usr and the folder that -image names, at /opt/slipway. Containers have no
network. Needs root.

Flags:
`

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "pods: error:", err)
		os.Exit(1)
	}
}

// runner runs the pods of a job.
type runner struct {
	job           *job
	volumes       map[string]string // the manifest's names, and the folders
	image, bundle string
	kill          int           // the index whose first pod is killed, or −1
	after         time.Duration // from its start
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("pods", flag.ExitOnError)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	var r runner
	flags.StringVar(&r.image, "image", "", "`folder` of the image's /opt/slipway")
	flags.StringVar(&r.bundle, "work", "", "`folder` to make the containers in")
	flags.IntVar(&r.kill, "kill", -1, "kill the first pod of this `index` by SIGKILL")
	flags.DurationVar(&r.after, "after", time.Second, "how long after its start")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() == 0 || r.image == "" || r.bundle == "" {
		flags.Usage()
		os.Exit(2)
	}
	raw, err := os.ReadFile(flags.Arg(0))
	if err != nil {
		return err
	}
	if r.job, err = readJob(raw); err != nil {
		return fmt.Errorf("%s: %w", flags.Arg(0), err)
	}
	if r.volumes, err = r.job.volumes(flags.Args()[1:]); err != nil {
		return err
	}
	return r.all(ctx)
}

// all runs the pods of all indices, as many at a time as the job says.
func (r *runner) all(ctx context.Context) error {
	spec := r.job.Spec
	var pods sync.WaitGroup
	failures := make([]error, spec.Completions)
	free := make(chan struct{}, spec.Parallelism)
	for index := range spec.Completions {
		free <- struct{}{}
		pods.Go(func() {
			failures[index] = r.index(ctx, index)
			<-free
		})
	}
	pods.Wait()
	return errors.Join(failures...)
}

// index runs an index's pod until one succeeds, or as many have failed as the job says.
func (r *runner) index(ctx context.Context, index int) error {
	for failed := 0; ; failed++ {
		began := time.Now()
		err := r.pod(ctx, index, failed)
		outcome := "done"
		if err != nil {
			outcome = err.Error()
		}
		fmt.Printf("index %d, pod %d: %s after %.1f s\n", index, failed+1, outcome,
			time.Since(began).Seconds())
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case failed == r.job.Spec.BackoffLimitPerIndex:
			return fmt.Errorf("index %d has failed %d times: %w", index, failed+1, err)
		}
	}
}

// pod runs one pod to its end.
func (r *runner) pod(ctx context.Context, index, failed int) error {
	name := fmt.Sprintf("slipway-%d-%d-%d", os.Getpid(), index, failed)
	bundle := filepath.Join(r.bundle, name)
	if err := r.prepare(bundle, index); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(r.bundle, fmt.Sprintf("%d.%d.log", index, failed)))
	if err != nil {
		return err
	}
	defer log.Close()
	container := exec.CommandContext(ctx, "runc", "run", "-b", bundle, name)
	container.Stdout, container.Stderr = log, log
	// runc hands the signal on, and the pod has its time to save in.
	container.Cancel = func() error { return container.Process.Signal(syscall.SIGTERM) }
	container.WaitDelay = time.Duration(r.job.pod().TerminationGracePeriodSeconds) * time.Second
	if err := container.Start(); err != nil {
		return err
	}
	if index == r.kill && failed == 0 {
		killer := time.AfterFunc(r.after, func() {
			if err := exec.Command("runc", "kill", name, "KILL").Run(); err != nil {
				fmt.Println("runc kill:", err)
			}
		})
		defer killer.Stop()
	}
	err = container.Wait()
	if ctx.Err() != nil { // what did not end with the signal
		_ = exec.Command("runc", "delete", "-f", name).Run()
	}
	return err
}

// prepare makes a container's folder: the root file system with places to mount at, and runc's
// file.
func (r *runner) prepare(bundle string, index int) error {
	root := filepath.Join(bundle, "rootfs")
	for _, dir := range []string{"usr", "opt/slipway", "proc", "dev", "sys", "tmp", "root", "etc"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return err
		}
	}
	for _, dir := range []string{"bin", "lib", "lib64", "sbin"} {
		if err := os.Symlink("usr/"+dir, filepath.Join(root, dir)); err != nil {
			return err
		}
	}
	config, err := r.job.container(index, r.image, r.volumes)
	if err != nil {
		return err
	}
	raw, err := json.MarshalIndent(config, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(bundle, "config.json"), raw, 0o644)
}
