package main

import (
	"cmp"
	_ "embed"
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strconv"
	"strings"
)

//go:embed switches.go.txt
var switches string

// switchesFor is the file that is added to the package, for so many mutants.
func switchesFor(p *pkg, mutants int) string {
	text := strings.Replace(switches, "PACKAGE", p.name, 1)
	return strings.Replace(text, "MUTANTS", strconv.Itoa(mutants), 1)
}

// An edit puts text in the place of bytes from at to end of a source.
type edit struct {
	at, end int
	rank    int // of edits at one place: an operand's end, an operator, an operand's beginning, a sign
	text    string
}

const (
	closing = iota
	operator
	opening
	sign
)

// functions are the names in switches.go.txt, behind mutation_.
var functions = map[token.Token]string{
	token.LSS: "less", token.LEQ: "lessEqual", token.GTR: "greater", token.GEQ: "greaterEqual",
	token.ADD: "add", token.SUB: "subtract", token.MUL: "multiply", token.QUO: "divide",
	token.REM:        "remainder",
	token.MUL_ASSIGN: "multiply", token.QUO_ASSIGN: "divide",
}

// rewrite returns a source's text in which each operator with a switch does what it did, and
// in the process whose switch is on what the mutant does.
func rewrite(p *pkg, s *source, mutants []*mutant) []byte {
	var edits []edit
	for i, m := range mutants {
		if m.ownBuild || i > 0 && mutants[i-1].expression == m.expression {
			continue
		}
		numbers := strconv.Itoa(m.number)
		if m.kind == boundary {
			numbers += ", " + strconv.Itoa(mutants[i+1].number) // its negation
		}
		edits = append(edits, switched(p, s, m, numbers)...)
	}
	// The outer of two expressions that begin together opens first, and closes last.
	order := make([]int, len(edits))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		a, b := edits[i], edits[j]
		within := i - j
		if a.rank == closing {
			within = j - i
		}
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.rank, b.rank), within)
	})
	var text []byte
	at := 0
	for _, i := range order {
		text = append(append(text, s.text[at:edits[i].at]...), edits[i].text...)
		at = edits[i].end
	}
	return append(text, s.text[at:]...)
}

// switched returns the edits of one operator.
func switched(p *pkg, s *source, m *mutant, numbers string) []edit {
	open := func(n ast.Node, format string, values ...any) edit {
		at := p.fset.Position(n.Pos()).Offset
		return edit{at, at, opening, fmt.Sprintf(format, values...)}
	}
	end := func(n ast.Node, format string, values ...any) edit {
		at := p.fset.Position(n.End()).Offset
		return edit{at, at, closing, fmt.Sprintf(format, values...)}
	}
	instead := func(text string) edit {
		return edit{m.offset, m.offset + len(m.from.String()), operator, text}
	}
	// The result of a comparison, which is of whatever bool type stands beside it.
	on := "(mutation_on(" + numbers + ") == true)"
	function := "mutation_" + functions[m.from] + "[" + m.operandType + "]("
	switch n := m.expression.(type) {
	case *ast.BinaryExpr:
		switch m.from {
		case token.EQL, token.NEQ:
			return []edit{open(n, "(("), end(n, ") != %s)", on)}
		case token.LAND, token.LOR:
			// a || b is !(!a && !b), evaluated as far.
			return []edit{open(n, "((("), end(n.X, ") != %s)", on), open(n.Y, "(("),
				end(n.Y, ") != %s)) != %[1]s", on)}
		}
		return []edit{open(n, "%s", function), instead(","), end(n, ", %s)", numbers)}
	case *ast.UnaryExpr:
		function := "mutation_negative[" + m.operandType + "]("
		return []edit{{m.offset, m.offset + 1, sign, function}, end(n, ", %s)", numbers)}
	case *ast.IncDecStmt:
		to := map[token.Token]string{token.INC: "+=", token.DEC: "-="}[m.from]
		return []edit{instead(to + " mutation_step[" + m.operandType + "](" + numbers + ")")}
	case *ast.AssignStmt:
		right := n.Rhs[0]
		if m.from == token.ADD_ASSIGN || m.from == token.SUB_ASSIGN {
			return []edit{open(right, "mutation_signed[%s](", m.operandType), end(right, ", %s)", numbers)}
		}
		left := s.text[p.fset.Position(n.Lhs[0].Pos()).Offset:p.fset.Position(n.Lhs[0].End()).Offset]
		return []edit{instead("= " + function + string(left) + ","), end(right, ", %s)", numbers)}
	}
	panic("mutation: no such expression")
}
