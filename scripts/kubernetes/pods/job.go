package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// job is what pods knows of a Job's manifest.
type job struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`
	Metadata   struct {
		Name string `yaml:"name"`
	} `yaml:"metadata"`
	Spec struct {
		CompletionMode       string `yaml:"completionMode"`
		Completions          int    `yaml:"completions"`
		Parallelism          int    `yaml:"parallelism"`
		BackoffLimitPerIndex int    `yaml:"backoffLimitPerIndex"`
		Template             struct {
			Spec podSpec `yaml:"spec"`
		} `yaml:"template"`
	} `yaml:"spec"`
}

type podSpec struct {
	RestartPolicy                 string `yaml:"restartPolicy"`
	TerminationGracePeriodSeconds int    `yaml:"terminationGracePeriodSeconds"`
	Containers                    []struct {
		Name    string   `yaml:"name"`
		Image   string   `yaml:"image"`
		Command []string `yaml:"command"`
		Args    []string `yaml:"args"`
		Env     []struct {
			Name  string `yaml:"name"`
			Value string `yaml:"value"`
		} `yaml:"env"`
		Resources struct {
			Limits map[string]string `yaml:"limits"`
		} `yaml:"resources"`
		VolumeMounts []struct {
			Name      string `yaml:"name"`
			MountPath string `yaml:"mountPath"`
			ReadOnly  bool   `yaml:"readOnly"`
		} `yaml:"volumeMounts"`
	} `yaml:"containers"`
	Volumes []struct {
		Name                  string            `yaml:"name"`
		PersistentVolumeClaim map[string]string `yaml:"persistentVolumeClaim"`
		ConfigMap             map[string]string `yaml:"configMap"`
	} `yaml:"volumes"`
}

func readJob(raw []byte) (*job, error) {
	var j job
	decoder := yaml.NewDecoder(bytes.NewReader(raw))
	decoder.KnownFields(true)
	if err := decoder.Decode(&j); err != nil {
		return nil, err
	}
	switch {
	case j.APIVersion != "batch/v1" || j.Kind != "Job" || j.Spec.CompletionMode != "Indexed":
		return nil, fmt.Errorf("%s %s %s is no indexed Job of batch/v1", j.APIVersion, j.Kind,
			j.Spec.CompletionMode)
	case j.Spec.Completions < 1 || j.Spec.Parallelism < 1:
		return nil, fmt.Errorf("%d completions, %d at a time", j.Spec.Completions,
			j.Spec.Parallelism)
	case len(j.pod().Containers) != 1 || j.pod().RestartPolicy != "Never":
		return nil, fmt.Errorf("a pod of one container that is not started again is known alone")
	}
	return &j, nil
}

func (j *job) pod() *podSpec { return &j.Spec.Template.Spec }

// volumes reads NAME=FOLDER for each of the pod's volumes.
func (j *job) volumes(args []string) (map[string]string, error) {
	folders := make(map[string]string)
	for _, arg := range args {
		name, folder, ok := strings.Cut(arg, "=")
		absolute, err := filepath.Abs(folder)
		if !ok || err != nil {
			return nil, fmt.Errorf("%s: VOLUME=FOLDER is wanted", arg)
		}
		folders[name] = absolute
	}
	for _, v := range j.pod().Volumes {
		if folders[v.Name] == "" {
			return nil, fmt.Errorf("which folder is the volume %s? say %[1]s=FOLDER", v.Name)
		}
	}
	return folders, nil
}

// object is one of JSON's.
type object = map[string]any

// container is runc's description of an index's pod (the OCI runtime specification's config.json).
func (j *job) container(index int, image string, volumes map[string]string) (object, error) {
	c := j.pod().Containers[0]
	// The path is the Containerfile's, the index the Job controller's.
	env := map[string]string{
		"PATH":                 "/opt/slipway/bin:/usr/local/bin:/usr/bin:/bin",
		"HOME":                 "/root",
		"JOB_COMPLETION_INDEX": strconv.Itoa(index),
	}
	for _, e := range c.Env {
		env[e.Name] = expand(e.Value, env)
	}
	var args, variables []string
	for _, arg := range append(append([]string(nil), c.Command...), c.Args...) {
		args = append(args, expand(arg, env))
	}
	for name, value := range env {
		variables = append(variables, name+"="+value)
	}
	image, err := filepath.Abs(image)
	if err != nil {
		return nil, err
	}
	mounts := []object{
		{"destination": "/proc", "type": "proc", "source": "proc"},
		{"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
			"options": []string{"nosuid", "mode=755", "size=65536k"}},
		{"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": []string{"ro"}},
		bind("/usr", "/usr", true),
		bind("/opt/slipway", image, true),
	}
	for _, m := range c.VolumeMounts {
		if volumes[m.Name] == "" {
			return nil, fmt.Errorf("%s is mounted, and is no volume", m.Name)
		}
		mounts = append(mounts, bind(m.MountPath, volumes[m.Name], m.ReadOnly))
	}
	resources := object{}
	for name, text := range c.Resources.Limits {
		limit, err := number(text)
		if err != nil {
			return nil, fmt.Errorf("limit of %s: %w", name, err)
		}
		switch name {
		case "cpu":
			const period = 100_000 // microseconds, kubelet's
			resources["cpu"] = object{"quota": int64(limit * period), "period": period}
		case "memory":
			resources["memory"] = object{"limit": int64(limit)}
		default:
			return nil, fmt.Errorf("a limit of %s is not known here", name)
		}
	}
	return object{
		"ociVersion": "1.0.2",
		"hostname":   fmt.Sprintf("%s-%d", j.Metadata.Name, index),
		"root":       object{"path": "rootfs"},
		"process": object{"cwd": "/", "user": object{"uid": 0, "gid": 0}, "args": args,
			"env": variables},
		"mounts": mounts,
		"linux": object{
			"resources": resources,
			"namespaces": []object{{"type": "pid"}, {"type": "network"}, {"type": "ipc"},
				{"type": "uts"}, {"type": "mount"}},
		},
	}, nil
}

func bind(destination, source string, readOnly bool) object {
	mode := "rw"
	if readOnly {
		mode = "ro"
	}
	return object{"destination": destination, "type": "bind", "source": source,
		"options": []string{"rbind", mode}}
}

// expand replaces $(NAME) as kubelet does: $$ is a dollar sign, and what is no variable stays.
func expand(text string, env map[string]string) string {
	var out strings.Builder
	for {
		before, after, found := strings.Cut(text, "$")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		name, rest, closed := strings.Cut(after, ")")
		name, opened := strings.CutPrefix(name, "(")
		value, known := env[name]
		switch {
		case strings.HasPrefix(after, "$"):
			out.WriteByte('$')
			text = after[1:]
		case opened && closed && known:
			out.WriteString(value)
			text = rest
		default:
			out.WriteByte('$')
			text = after
		}
	}
}

// number reads the manifest's amounts: 4, 500m of processors, 4Gi of bytes.
func number(text string) (float64, error) {
	unit := 1.0
	units := map[string]float64{"m": 1e-3, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}
	for suffix, factor := range units {
		if rest, ok := strings.CutSuffix(text, suffix); ok {
			text, unit = rest, factor
			break // no suffix ends in another
		}
	}
	x, err := strconv.ParseFloat(text, 64)
	if err != nil || x <= 0 {
		return 0, fmt.Errorf("%q is no amount", text)
	}
	return x * unit, nil
}
