package host

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Checksum is the SHA-256 of a file in hexadecimal.
func Checksum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func checkSum(sum string) error {
	if sum == "" {
		return nil
	}
	if b, err := hex.DecodeString(sum); err != nil || len(b) != sha256.Size {
		return errors.New("is no SHA-256 in hexadecimal (64 digits)")
	}
	return nil
}

// Find gives the absolute path of a plugin's binary: a name without a slash is looked up in PATH.
func Find(path string) (string, error) {
	found, err := exec.LookPath(path)
	var file *fs.PathError
	switch {
	case errors.Is(err, exec.ErrDot):
	case errors.As(err, &file):
		return "", file // it names the path once
	case err != nil:
		return "", err
	}
	return filepath.Abs(found)
}

// Verify tells whether the binary is there and everything that is pinned is as it is pinned.
func (s Settings) Verify() error {
	if _, err := s.verify(); err != nil {
		return fmt.Errorf("plugin %s: %w", s.Name, err)
	}
	return nil
}

// verify gives the path to execute, once everything that is pinned is as it is pinned. The files are read anew at each
// start, since the binary may have been changed meanwhile.
func (s *Settings) verify() (string, error) {
	binary, err := Find(s.Path)
	if err != nil {
		return "", fmt.Errorf("find the binary: %w", err)
	}
	if !s.Dev {
		if err := verifyFile(binary, s.SHA256); err != nil {
			return "", err
		}
	}
	for _, file := range slices.Sorted(maps.Keys(s.Files)) {
		if err := verifyFile(file, s.Files[file]); err != nil {
			return "", err
		}
	}
	return binary, nil
}

// ChecksumError says that a file is not the one that was pinned.
type ChecksumError struct{ File, Pinned, Found string }

// Error names both checksums and the remedy.
func (e *ChecksumError) Error() string {
	return fmt.Sprintf("%s has changed: its SHA-256 is %s, pinned is %s; it is not started. If the change is meant, pin the new one", e.File, e.Found, e.Pinned)
}

func verifyFile(file, pinned string) error {
	found, err := Checksum(file)
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	if !strings.EqualFold(found, pinned) {
		return &ChecksumError{File: file, Pinned: strings.ToLower(pinned), Found: found}
	}
	return nil
}
