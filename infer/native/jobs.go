package native

// jobs is what is computed in spans on all threads by the steps of most networks. A function
// that is handed to threads is allocated; of these there is one of each kind, for one step at a
// time.
type jobs struct {
	transpose  transposition
	interleave interleaving
	combine    combining
	bound      finishing
	apply      mapping
	function   functionMapping
	softmax    softmaxing
	mean       averaging
	join       joining

	job         job // under way
	items, span int
	task        func(worker, item int)
}

// job computes some of its items, each by itself. Of a worker there is one call at a time.
type job interface{ compute(worker, first, last int) }

// share is split for a job.
func (r *run) share(n, cost int, j job) error {
	span := max(1, grain/max(1, cost))
	if n <= span {
		j.compute(0, 0, n)
		return r.ctx.Err()
	}
	if r.jobs.task == nil {
		r.jobs.task = func(worker, item int) {
			if r.ctx.Err() == nil {
				k := &r.jobs
				k.job.compute(worker, item*k.span, min(k.items, (item+1)*k.span))
			}
		}
	}
	r.jobs.job, r.jobs.items, r.jobs.span = j, n, span
	r.engine.Pool.Run(ceil(n, span), r.jobs.task)
	r.jobs.job = nil
	return r.ctx.Err()
}

func ceil(a, b int) int { return (a + b - 1) / b }
