package pretrained

import (
	_ "embed"
	"fmt"
	"path"
	"strconv"
	"strings"
)

//go:embed pretrained.pins
var pinned string

// pin says where a network's weights come from.
type pin struct {
	network, distribution, version, wheelSum string
	member, sum                              string
	bytes                                    int64
}

// pinOf returns the pin of a network.
func pinOf(network string) (pin, error) {
	for line := range strings.Lines(pinned) {
		fields := strings.Fields(line)
		if len(fields) != 7 || fields[0] != network {
			continue
		}
		bytes, err := strconv.ParseInt(fields[6], 10, 64)
		return pin{fields[0], fields[1], fields[2], fields[3], fields[4], fields[5], bytes}, err
	}
	return pin{}, fmt.Errorf("pretrained.pins has no line for %s", network)
}

// file is the name of the file with the weights.
func (p pin) file() string { return path.Base(p.member) }

// requirement is the line of a requirements file.
func (p pin) requirement() string {
	return fmt.Sprintf("%s==%s --hash=sha256:%s", p.distribution, p.version, p.wheelSum)
}
