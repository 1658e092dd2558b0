package main

import (
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
)

// The kinds of mutants, and what each puts in an operator's place.
const (
	boundary    = "CONDITIONALS_BOUNDARY"
	negation    = "CONDITIONALS_NEGATION"
	arithmetic  = "ARITHMETIC_BASE"
	logical     = "INVERT_LOGICAL"
	negative    = "INVERT_NEGATIVES"
	increment   = "INCREMENT_DECREMENT"
	assignments = "INVERT_ASSIGNMENTS"
)

var exchanges = map[string]map[token.Token]token.Token{
	boundary: {token.LSS: token.LEQ, token.LEQ: token.LSS, token.GTR: token.GEQ, token.GEQ: token.GTR},
	negation: {token.EQL: token.NEQ, token.NEQ: token.EQL,
		token.LSS: token.GEQ, token.GEQ: token.LSS, token.GTR: token.LEQ, token.LEQ: token.GTR},
	arithmetic: {token.ADD: token.SUB, token.SUB: token.ADD,
		token.MUL: token.QUO, token.QUO: token.MUL, token.REM: token.MUL},
	logical:   {token.LAND: token.LOR, token.LOR: token.LAND},
	negative:  {token.SUB: token.ADD},
	increment: {token.INC: token.DEC, token.DEC: token.INC},
	assignments: {token.ADD_ASSIGN: token.SUB_ASSIGN, token.SUB_ASSIGN: token.ADD_ASSIGN,
		token.MUL_ASSIGN: token.QUO_ASSIGN, token.QUO_ASSIGN: token.MUL_ASSIGN},
}

// A mutant is a package in which one operator is another.
type mutant struct {
	source      *source
	kind        string
	offset      int // of the operator in the source, in bytes
	line        int // from 1
	column      int // from 1, in bytes
	from, to    token.Token
	number      int  // of the switch that makes it of the package, from 1
	ownBuild    bool // it has no switch, but is compiled by itself
	expression  ast.Node
	operand     types.Type
	operandType string // as the source can name it
}

// text is the source's text as the mutant has it.
func (m *mutant) text() []byte {
	rest := m.source.text[m.offset+len(m.from.String()):]
	return append(append(append([]byte{}, m.source.text[:m.offset]...), m.to.String()...), rest...)
}

// find returns the mutants of a source in the order of its text.
func find(p *pkg, s *source) []*mutant {
	var found []*mutant
	fixed := mustBeConstant(p, s.syntax)
	add := func(n ast.Node, kind string, at token.Pos, operator token.Token, operand ast.Expr) {
		to, ok := exchanges[kind][operator]
		if !ok {
			return
		}
		position := p.fset.Position(at)
		m := &mutant{source: s, kind: kind, offset: position.Offset, line: position.Line,
			column: position.Column, from: operator, to: to, expression: n}
		m.ownBuild = fixed[n]
		if kind != logical && operator != token.EQL && operator != token.NEQ {
			m.operand = p.info.TypeOf(operand)
			if e, ok := n.(ast.Expr); ok && isUntyped(m.operand) && kind != boundary && kind != negation {
				m.operand = p.info.TypeOf(e) // of a constant the parts have no type
			}
			if kind != boundary && kind != negation && !isNumber(m.operand) {
				return // a sum of strings, whose difference does not compile
			}
			name, named := typeName(p, s, m.operand)
			m.operandType, m.ownBuild = name, m.ownBuild || !named
		}
		found = append(found, m)
	}
	ast.Inspect(s.syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			operand := n.X
			if p.info.Types[n.X].Value != nil {
				operand = n.Y // of x and 1<<y, x has the type
			}
			for _, kind := range []string{arithmetic, boundary, negation, logical} {
				add(n, kind, n.OpPos, n.Op, operand)
			}
		case *ast.UnaryExpr:
			add(n, negative, n.OpPos, n.Op, n.X)
		case *ast.IncDecStmt:
			add(n, increment, n.TokPos, n.Tok, n.X)
		case *ast.AssignStmt:
			add(n, assignments, n.TokPos, n.Tok, n.Lhs[0])
		}
		return true
	})
	for _, m := range found {
		m.ownBuild = m.ownBuild || !switchable(p, m)
	}
	return found
}

// mustBeConstant returns what stands where Go wants a constant.
func mustBeConstant(p *pkg, file *ast.File) map[ast.Node]bool {
	nodes := map[ast.Node]bool{}
	all := func(root ast.Node) {
		ast.Inspect(root, func(n ast.Node) bool { nodes[n] = true; return true })
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GenDecl:
			if n.Tok == token.CONST {
				all(n)
			}
		case *ast.ArrayType:
			if n.Len != nil {
				all(n.Len)
			}
		case *ast.CompositeLit:
			if _, isMap := p.info.TypeOf(n).Underlying().(*types.Map); isMap {
				break
			}
			for _, element := range n.Elts {
				if pair, ok := element.(*ast.KeyValueExpr); ok {
					all(pair.Key)
				}
			}
		}
		return true
	})
	return nodes
}

// switchable tells whether an operator can be exchanged for a call: constant operands must fit
// into the type that their sum has, and an operand that would be written twice must be simple.
func switchable(p *pkg, m *mutant) bool {
	switch n := m.expression.(type) {
	case *ast.BinaryExpr:
		return m.operandType == "" || fits(p, n.X, m.operand) && fits(p, n.Y, m.operand)
	case *ast.UnaryExpr:
		return fits(p, n.X, m.operand)
	case *ast.AssignStmt:
		if m.from == token.MUL_ASSIGN || m.from == token.QUO_ASSIGN {
			return simple(n.Lhs[0])
		}
		return fits(p, n.Rhs[0], m.operand)
	}
	return true
}

func isUntyped(t types.Type) bool {
	basic, ok := t.(*types.Basic)
	return ok && basic.Info()&types.IsUntyped != 0
}

// fits tells whether an expression is no constant, or one that a variable of the type can hold:
// 256 cannot be a byte, though 256 - 1 can.
func fits(p *pkg, e ast.Expr, t types.Type) bool {
	known := p.info.Types[e]
	if known.Value == nil {
		return true
	}
	basic, ok := t.Underlying().(*types.Basic)
	if !ok || isUntyped(t) {
		return false
	}
	if basic.Info()&types.IsInteger == 0 {
		return true
	}
	least, bits := int64(0), uint(8*types.SizesFor("gc", "amd64").Sizeof(basic))
	if basic.Info()&types.IsUnsigned == 0 {
		bits--
		least = -1 << bits
	}
	beyond := constant.Shift(constant.MakeInt64(1), token.SHL, bits)
	value := constant.ToInt(known.Value)
	return value.Kind() == constant.Int &&
		constant.Compare(value, token.GEQ, constant.MakeInt64(least)) &&
		constant.Compare(value, token.LSS, beyond)
}

// simple tells whether evaluating an expression twice is as evaluating it once, and whether
// nothing in it is mutated.
func simple(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident, *ast.BasicLit:
		return true
	case *ast.SelectorExpr:
		return simple(e.X)
	case *ast.IndexExpr:
		return simple(e.X) && simple(e.Index)
	}
	return false
}

// isNumber tells whether values of a type can be subtracted.
func isNumber(t types.Type) bool {
	if _, ok := t.(*types.TypeParam); ok {
		return types.Satisfies(t, numbers())
	}
	basic, ok := t.Underlying().(*types.Basic)
	return ok && basic.Info()&(types.IsInteger|types.IsFloat) != 0
}

func numbers() *types.Interface {
	var terms []*types.Term
	for kind := types.Int; kind <= types.Float64; kind++ {
		terms = append(terms, types.NewTerm(true, types.Typ[kind]))
	}
	return types.NewInterfaceType(nil, []types.Type{types.NewUnion(terms)}).Complete()
}

// typeName is the name of a type in a source, and whether it has one there.
func typeName(p *pkg, s *source, t types.Type) (name string, ok bool) {
	if basic, isBasic := t.(*types.Basic); isBasic {
		return basic.Name(), basic.Info()&types.IsUntyped == 0 && basic.Kind() != types.Invalid
	}
	ok = true
	name = types.TypeString(t, func(other *types.Package) string {
		if other == p.types {
			return ""
		}
		for _, spec := range s.syntax.Imports {
			if spec.Path.Value == `"`+other.Path()+`"` {
				if spec.Name != nil {
					return spec.Name.Name
				}
				return other.Name()
			}
		}
		ok = false
		return other.Name()
	})
	return name, ok
}
