package main

import (
	"bufio"
	"fmt"
	"io"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// class is a kind of instruction: those of one have about the same latency.
type class int

const (
	fixed class = iota
	double
	special
	constant
	shared
	load
	store
	control
	barrier
	fence
)

// instruction is one of a kernel's, as nvdisasm lists it.
type instruction struct {
	class  class
	source string // file:line that it is of
	// reads and writes are registers and predicates, by their names.
	reads, writes []string
	operations    int // of floating-point arithmetic, of one thread
	target        string
	call          bool
	end           bool // leaves the kernel whatever its condition
}

// function is a kernel, or what it calls.
type function struct {
	name         string
	instructions []instruction
	labels       map[string]int // of the instruction that follows
	registers    int
}

var (
	sectionPattern = regexp.MustCompile(`^\.text\.(\w+):`)
	labelPattern   = regexp.MustCompile(`^([.$][\w$.]+):`)
	linePattern    = regexp.MustCompile(`^//## File "([^"]+)", line (\d+)`)
	codePattern    = regexp.MustCompile(`^/\*[0-9a-f]+\*/\s+(@!?U?P\d?T?\s+)?([A-Z][\w.]*)\s*([^;]*);`)
	targetPattern  = regexp.MustCompile("`\\(([^)]+)\\)")
	namePattern    = regexp.MustCompile(`\b(UR|UP|R|P)(\d+)(\.64)?`)
)

// readSASS reads the listing of nvdisasm -c -g: kernels by name.
func readSASS(r io.Reader) (map[string]*function, error) {
	functions := make(map[string]*function)
	var current *function
	source := ""
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		line := strings.TrimSpace(scanner.Text())
		if found := sectionPattern.FindStringSubmatch(line); found != nil {
			current = &function{name: found[1], labels: make(map[string]int)}
			functions[current.name], source = current, ""
			continue
		}
		if current == nil {
			continue
		}
		if found := linePattern.FindStringSubmatch(line); found != nil {
			source = path.Base(found[1]) + ":" + found[2]
			continue
		}
		if found := labelPattern.FindStringSubmatch(line); found != nil {
			current.labels[found[1]] = len(current.instructions)
			continue
		}
		if found := codePattern.FindStringSubmatch(line); found != nil {
			i := decode(strings.TrimSpace(found[1]), found[2], found[3])
			i.source = source
			current.instructions = append(current.instructions, i)
			for _, name := range append(i.reads, i.writes...) {
				if number, err := strconv.Atoi(strings.TrimPrefix(name, "R")); err == nil {
					current.registers = max(current.registers, number+1)
				}
			}
		}
	}
	if len(functions) == 0 && scanner.Err() == nil {
		return nil, fmt.Errorf("it lists no kernel")
	}
	return functions, scanner.Err()
}

// decode understands as much of an instruction as its timing needs.
func decode(condition, code, operands string) instruction {
	mnemonic, _, _ := strings.Cut(code, ".")
	i := instruction{class: classOf(mnemonic, code), operations: operationsOf(mnemonic)}
	if condition != "" {
		i.reads = append(i.reads, strings.TrimLeft(condition, "@!"))
	}
	if target := targetPattern.FindStringSubmatch(operands); target != nil {
		i.target = target[1]
	}
	i.call = mnemonic == "CALL"
	i.end = mnemonic == "EXIT" && condition == ""
	wide := strings.Contains(code, "64") || mnemonic[0] == 'D' || strings.Contains(code, "WIDE")
	results := i.class != store && i.class != control && i.class != barrier
	for n, operand := range strings.Split(operands, ",") {
		operand = strings.TrimSpace(operand)
		names := registersOf(operand, wide)
		// The first operand is what comes out, and a predicate behind it a carry or a second result.
		plain := len(names) > 0 && !strings.ContainsAny(operand, "![")
		if results && (n == 0 || n == 1 && plain && strings.Contains(names[0], "P")) {
			i.writes = append(i.writes, names...)
			continue
		}
		i.reads = append(i.reads, names...)
	}
	return i
}

// registersOf returns an operand's registers: two where its value has 64 bits.
func registersOf(operand string, wide bool) []string {
	var names []string
	for _, found := range namePattern.FindAllStringSubmatch(operand, -1) {
		names = append(names, found[1]+found[2])
		if (wide || found[3] != "") && strings.HasSuffix(found[1], "R") {
			number, _ := strconv.Atoi(found[2]) // the pattern lets digits through alone
			names = append(names, found[1]+strconv.Itoa(number+1))
		}
	}
	return names
}

func classOf(mnemonic, code string) class {
	switch mnemonic {
	case "LDG", "LD", "ATOMG", "ATOM":
		return load // an atomic operation's result comes from the second-level cache, as a load's does
	case "MEMBAR":
		return fence
	case "LDS", "LDL":
		return shared
	case "LDC", "ULDC", "S2R", "S2UR", "CS2UR", "R2UR":
		return constant
	case "STG", "STS", "STL", "ST", "RED":
		return store
	case "BAR":
		return barrier
	case "BRA", "BRX", "EXIT", "CALL", "RET", "BSSY", "BSYNC", "BREAK", "NOP", "WARPSYNC":
		return control
	case "DADD", "DMUL", "DFMA", "DSETP", "DMNMX":
		return double
	case "MUFU", "F2F", "F2I", "I2F", "FRND", "FCHK", "I2FP":
		return special
	}
	return fixed
}

// operationsOf counts a fused multiplication and addition as two.
func operationsOf(mnemonic string) int {
	switch mnemonic {
	case "FADD", "FMUL", "DADD", "DMUL", "MUFU":
		return 1
	case "FFMA", "DFMA":
		return 2
	}
	return 0
}
