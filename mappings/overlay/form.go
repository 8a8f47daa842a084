package overlay

import "github.com/eiffelbridge/eiffelbridge/internal/strictyaml"

// The form of an overlay, key by key as in the catalogue. docs/overlays.md says what each means.

type form struct {
	Version         int              `yaml:"version"`
	PublishedLevels strictyaml.Words `yaml:"published_levels"`
	ServiceID       strictyaml.Text  `yaml:"service_id"`
	Activities      []activityForm   `yaml:"activities"`
	Vocabularies    []vocabularyForm `yaml:"vocabularies"`
	ToEiffel        []toEiffelForm   `yaml:"to_eiffel"`
	ToCDEvents      []toCDEventsForm `yaml:"to_cdevents"`
}

type activityForm struct {
	Kind       string           `yaml:"kind"`
	Categories strictyaml.Words `yaml:"categories"`
	Names      strictyaml.Words `yaml:"names"`
	When       strictyaml.Text  `yaml:"when"`
}

type vocabularyForm struct {
	Name      string      `yaml:"name"`
	Extend    bool        `yaml:"extend"`
	Words     []wordsForm `yaml:"words"`
	Otherwise struct {
		CDEvents string `yaml:"cdevents"`
		Eiffel   string `yaml:"eiffel"`
	} `yaml:"otherwise"`
}

type wordsForm struct {
	CDEvents strictyaml.Words `yaml:"cdevents"`
	Eiffel   strictyaml.Words `yaml:"eiffel"`
}

type toEiffelForm struct {
	CDEvent string          `yaml:"cdevent"`
	Disable bool            `yaml:"disable"`
	Extend  bool            `yaml:"extend"`
	If      string          `yaml:"if"`
	When    strictyaml.Text `yaml:"when"`
	Eiffel  string          `yaml:"eiffel"`
	ID      string          `yaml:"id"`
	Links   []linkForm      `yaml:"links"`
	Data    []fieldForm     `yaml:"data"`
	Custom  []fieldForm     `yaml:"custom"`
	Learns  string          `yaml:"learns"`
	About   string          `yaml:"about"`
}

type toCDEventsForm struct {
	Eiffel    string           `yaml:"eiffel"`
	Disable   bool             `yaml:"disable"`
	Extend    bool             `yaml:"extend"`
	When      strictyaml.Text  `yaml:"when"`
	CDEvent   strictyaml.Words `yaml:"cdevent"`
	Choose    string           `yaml:"choose"`
	Subject   string           `yaml:"subject"`
	SubjectID strictyaml.Text  `yaml:"subject_id"`
	Links     []relationForm   `yaml:"links"`
	Content   []fieldForm      `yaml:"content"`
	Learns    string           `yaml:"learns"`
	About     string           `yaml:"about"`
}

type linkForm struct {
	Type      string          `yaml:"type"`
	Target    string          `yaml:"target"`
	Anchor    string          `yaml:"anchor"`
	Or        string          `yaml:"or"`
	Subject   string          `yaml:"subject"`
	Reference string          `yaml:"reference"`
	Required  bool            `yaml:"required"`
	With      []linkForm      `yaml:"with"`
	Value     strictyaml.Text `yaml:"value"`
	Remove    bool            `yaml:"remove"`
}

type relationForm struct {
	Kind   string          `yaml:"kind"`
	Value  strictyaml.Text `yaml:"value"`
	Remove bool            `yaml:"remove"`
}

type fieldForm struct {
	To         string           `yaml:"to"`
	Was        string           `yaml:"was"`
	From       strictyaml.Words `yaml:"from"`
	By         string           `yaml:"by"`
	Const      any              `yaml:"const"`
	Vocabulary string           `yaml:"vocabulary"`
	Format     string           `yaml:"format"`
	Fill       string           `yaml:"fill"`
	Value      strictyaml.Text  `yaml:"value"`
	Remove     bool             `yaml:"remove"`
}
