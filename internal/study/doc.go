// Package study answers a question by many training runs: a study file says what
// varies, the runner trains every setting from every seed, and what each run came
// to lies in a folder that is named by the run's configuration.
package study
