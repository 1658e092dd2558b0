package serve

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"net/http"
	"strings"
)

// pageHTML is the page at /. It has no name of a model in it: its script asks for them, with the
// token where there is one, and writes them as text.
//
//go:embed page.html
var pageHTML string

// pagePolicy lets the page run its own script and style, known by their sha256, and nothing else.
func pagePolicy() string {
	return "default-src 'none'; connect-src 'self'; img-src blob:; base-uri 'none'; " +
		"form-action 'none'; frame-ancestors 'none'; " +
		"script-src " + sourceHash("script") + "; style-src " + sourceHash("style")
}

// sourceHash is the sha256 of what the page has in that element, as a policy writes it.
func sourceHash(element string) string {
	_, text, _ := strings.Cut(pageHTML, "<"+element+">")
	text, _, _ = strings.Cut(text, "</"+element+">")
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func (s *Server) page(w http.ResponseWriter, r *http.Request) error {
	if s.config.Token == "" {
		if err := checkHost(r); err != nil {
			return err
		}
	}
	w.Header().Set("Content-Security-Policy", pagePolicy())
	w.Header().Set("Referrer-Policy", "no-referrer")
	writeBody(w, http.StatusOK, "text/html; charset=utf-8", []byte(pageHTML))
	return nil
}
