package overlay

import (
	"cmp"
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"
)

// CEL goes through the entries of a map in no order, as Go does. The same event must give the same bytes, always; so that
// comprehensions over maps are given the entries sorted by key. Objects of the event have the order of the document already.

// inKeyOrder makes the comprehensions of an expression go through maps in the order of their keys.
func inKeyOrder(a *ast.AST) cel.ProgramOption {
	ranges := map[int64]bool{}
	ast.PostOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.ComprehensionKind {
			return
		}
		if over := e.AsComprehension().IterRange(); a.GetType(over.ID()).Kind() != types.ListKind {
			ranges[over.ID()] = true
		}
	}))
	return cel.CustomDecoratorV2(func(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
		if !ranges[i.ID()] {
			return i, nil
		}
		if attribute, ok := i.(interpreter.InterpretableAttribute); ok {
			return sortedAttribute{attribute}, nil
		}
		return sortedNode{i}, nil
	})
}

// sortedNode gives maps in the order of their keys.
type sortedNode struct{ interpreter.InterpretableV2 }

// Exec implements [interpreter.InterpretableV2].
func (n sortedNode) Exec(f *interpreter.ExecutionFrame) ref.Val {
	return sorted(n.InterpretableV2.Exec(f))
}

// Eval implements [interpreter.Interpretable].
func (n sortedNode) Eval(a cel.Activation) ref.Val { return sorted(n.InterpretableV2.Eval(a)) }

// sortedAttribute does the same for a variable or a member.
type sortedAttribute struct {
	interpreter.InterpretableAttribute
}

// Exec implements [interpreter.InterpretableV2].
func (n sortedAttribute) Exec(f *interpreter.ExecutionFrame) ref.Val {
	return sorted(n.InterpretableAttribute.Exec(f))
}

// Eval implements [interpreter.Interpretable].
func (n sortedAttribute) Eval(a cel.Activation) ref.Val {
	return sorted(n.InterpretableAttribute.Eval(a))
}

func sorted(v ref.Val) ref.Val {
	if _, ours := v.(object); ours {
		return v
	}
	m, ok := v.(traits.Mapper)
	if !ok {
		return v
	}
	var keys []ref.Val
	for i := m.Iterator(); i.HasNext() == types.True; {
		keys = append(keys, i.Next())
	}
	slices.SortFunc(keys, compareKeys)
	return sortedMap{m, keys}
}

// compareKeys sorts numbers before strings, and whatever else by its type.
func compareKeys(a, b ref.Val) int {
	if x, ok := a.(traits.Comparer); ok {
		if order, ok := x.Compare(b).(types.Int); ok {
			return int(order)
		}
	}
	return cmp.Compare(a.Type().TypeName(), b.Type().TypeName())
}

// sortedMap is a map whose entries come in an order.
type sortedMap struct {
	traits.Mapper
	keys []ref.Val
}

var _ traits.Foldable = sortedMap{}

// Iterator implements [traits.Iterable].
func (m sortedMap) Iterator() traits.Iterator {
	return types.DefaultTypeAdapter.NativeToValue(m.keys).(traits.Lister).Iterator()
}

// Fold implements [traits.Foldable].
func (m sortedMap) Fold(f traits.Folder) {
	for _, k := range m.keys {
		if !f.FoldEntry(k, m.Get(k)) {
			return
		}
	}
}
