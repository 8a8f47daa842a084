package translate

import "strings"

// Eiffel event types that rows and judgements name.
const (
	typeActC = "EiffelActivityCanceledEvent"
	typeActF = "EiffelActivityFinishedEvent"
	typeActS = "EiffelActivityStartedEvent"
	typeActT = "EiffelActivityTriggeredEvent"
	typeAnnP = "EiffelAnnouncementPublishedEvent"
	typeArtC = "EiffelArtifactCreatedEvent"
	typeArtD = "EiffelArtifactDeployedEvent"
	typeCD   = "EiffelCompositionDefinedEvent"
	typeCLM  = "EiffelConfidenceLevelModifiedEvent"
	typeED   = "EiffelEnvironmentDefinedEvent"
	typeSCC  = "EiffelSourceChangeCreatedEvent"
	typeSCS  = "EiffelSourceChangeSubmittedEvent"
	typeTCS  = "EiffelTestCaseStartedEvent"
	typeTCF  = "EiffelTestCaseFinishedEvent"
	typeTSF  = "EiffelTestSuiteFinishedEvent"
	typeTCT  = "EiffelTestCaseTriggeredEvent"
	typeTSS  = "EiffelTestSuiteStartedEvent"
)

// Eiffel link types that rows and judgements name.
const (
	linkActivity      = "ACTIVITY_EXECUTION"
	linkArtifact      = "ARTIFACT"
	linkCause         = "CAUSE"
	linkChange        = "CHANGE"
	linkComposition   = "COMPOSITION"
	linkConfiguration = "CONFIGURATION"
	linkContext       = "CONTEXT"
	linkElement       = "ELEMENT"
	linkEnvironment   = "ENVIRONMENT"
	linkIUT           = "IUT"
	linkPrevious      = "PREVIOUS_VERSION"
	linkSubject       = "SUBJECT"
	linkTestCase      = "TEST_CASE_EXECUTION"
	linkTestSuite     = "TEST_SUITE_EXECUTION"
)

// kindOf is the subject kind in subject.predicate.
func kindOf(name string) string {
	kind, _, _ := strings.Cut(name, ".")
	return kind
}

// fill sets what is empty.
func fill(s *string, with string) {
	if *s == "" {
		*s = with
	}
}
