package serve

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"slipway/infer"
)

// metrics are what a Server counts, in a registry of its own. Labels are names of models that are
// served, endpoints and numbers, never what a client sends: their number is bounded.
type metrics struct {
	registry     *prometheus.Registry
	requests     *prometheus.CounterVec
	seconds      *prometheus.HistogramVec
	refused      *prometheus.CounterVec
	batchImages  *prometheus.HistogramVec
	batchSeconds *prometheus.HistogramVec
	models       *prometheus.GaugeVec
	broken       *prometheus.GaugeVec
	loads        prometheus.Counter
	loadFailures prometheus.Counter
	panics       prometheus.Counter
}

func newMetrics(inFlight, connections, memory *budget) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "slipway_requests_total",
			Help: "Requests answered, by endpoint, model, version and HTTP status or gRPC code."},
			[]string{"endpoint", "model", "version", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "slipway_request_seconds",
			Help: "Time from a request's header to the end of its answer.", Buckets: timeBuckets()},
			[]string{"endpoint", "model", "version"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "slipway_refused_total",
			Help: "Requests and connections refused by a limit."}, []string{"limit"}),
		batchImages: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "slipway_batch_images",
			Help:    "Images of a batch that a model computed.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 9)}, []string{"model", "version"}),
		batchSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "slipway_batch_seconds",
			Help: "Time that a model computed a batch.", Buckets: timeBuckets()},
			[]string{"model", "version"}),
		models: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "slipway_model_info",
			Help: "1 for each version that is served, with what runs it."},
			[]string{"model", "version", "runtime", "provider"}),
		broken: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "slipway_model_broken",
			Help: "1 for each version whose files cannot be served as they are."},
			[]string{"model", "version"}),
		loads:        counter("slipway_model_loads_total", "Versions loaded."),
		loadFailures: counter("slipway_model_load_failures_total", "Versions that could not be loaded."),
		panics:       counter("slipway_panics_total", "Panics that were caught."),
	}
	gauge := func(name, help string, b *budget) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help},
			func() float64 { return float64(b.used.Load()) })
	}
	m.registry.MustRegister(m.requests, m.seconds, m.refused, m.batchImages, m.batchSeconds, m.models,
		m.broken, m.loads, m.loadFailures, m.panics,
		gauge("slipway_requests_in_flight", "Requests being answered.", inFlight),
		gauge("slipway_connections", "Open HTTP connections.", connections),
		gauge("slipway_body_bytes", "Memory that the bodies of requests hold.", memory),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// timeBuckets are from 50 µs to 13 s, each twice the one before.
func timeBuckets() []float64 { return prometheus.ExponentialBuckets(50e-6, 2, 19) }

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// ran returns what a batcher calls after each batch.
func (m *metrics) ran(name, number string) func(images int, took time.Duration) {
	images := m.batchImages.WithLabelValues(name, number)
	seconds := m.batchSeconds.WithLabelValues(name, number)
	return func(n int, took time.Duration) {
		images.Observe(float64(n))
		seconds.Observe(took.Seconds())
	}
}

func (m *metrics) loaded(name, number string, info infer.Info) {
	m.unloaded(name, number)
	m.models.WithLabelValues(name, number, info.Runtime, info.Provider).Set(1)
	m.loads.Inc()
}

func (m *metrics) unloaded(name, number string) {
	m.models.DeletePartialMatch(prometheus.Labels{"model": name, "version": number})
}

// failed notes whether a version's files can be served as they are.
func (m *metrics) failed(name, number string, broken bool) {
	if broken {
		m.broken.WithLabelValues(name, number).Set(1)
		return
	}
	m.broken.DeleteLabelValues(name, number)
}

// answered counts a request. Model and version are empty where it named none that is served.
func (m *metrics) answered(endpoint, model, version string, status int, took time.Duration) {
	m.requests.WithLabelValues(endpoint, model, version, strconv.Itoa(status)).Inc()
	m.seconds.WithLabelValues(endpoint, model, version).Observe(took.Seconds())
}
