package schema

// What the tests outside the package share with those inside: they use packages that import this one.
var (
	Compare   = compare
	EveryNth  = everyNth
	Judge     = judge
	Mutations = mutations
	MustParse = mustParse
	Oracles   = oracles
	SchemaOf  = schemaOf
)

// Oracle judges events by the schemas themselves.
type Oracle = oracle
