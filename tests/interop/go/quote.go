package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"time"
)

// Offsets in a TDX quote of version 4: a header of 48 bytes, a TD report body of 584, the size of the signature data.
const (
	bodyOffset       = 48
	mrtdOffset       = bodyOffset + 136
	rtmrOffset       = bodyOffset + 328
	reportDataOffset = bodyOffset + 520
	signedSize       = bodyOffset + 584
	qeReportSize     = 384
)

var errTruncated = errors.New("quote is truncated")

// verifyLeaf appraises the certificate that a peer showed on a connection on which this side sent the nonce, and
// returns the measurements: index 0 MRTD, 1 to 4 the RTMRs.
func (s *settings) verifyLeaf(leafDER, nonce []byte) (map[string]string, error) {
	leaf, err := x509.ParseCertificate(leafDER)
	if err != nil {
		return nil, err
	}
	if err := leaf.CheckSignature(leaf.SignatureAlgorithm, leaf.RawTBSCertificate, leaf.Signature); err != nil {
		return nil, fmt.Errorf("leaf is not self-signed: %w", err)
	}
	if now := time.Now(); now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) {
		return nil, fmt.Errorf("leaf is valid from %s to %s only", leaf.NotBefore, leaf.NotAfter)
	}
	oid, err := parseOID(s.oid)
	if err != nil {
		return nil, err
	}
	var found [][]byte
	for _, extension := range leaf.Extensions {
		if extension.Id.Equal(oid) {
			found = append(found, extension.Value)
		}
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("%d evidence extensions", len(found))
	}
	var doc document
	if err := json.Unmarshal(found[0], &doc); err != nil {
		return nil, fmt.Errorf("attestation document: %w", err)
	}
	key, ok := leaf.PublicKey.(*ecdsa.PublicKey)
	if !ok {
		return nil, errors.New("leaf's key is not ECDSA")
	}
	userData, err := userDataOf(key)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(doc.UserData, userData) {
		return nil, errors.New("user data is not the hash of the leaf's key")
	}
	return s.verifyQuote(doc.RawQuote, append(extraData(userData, nonce), make([]byte, 32)...))
}

func (s *settings) verifyQuote(quote, reportData []byte) (map[string]string, error) {
	if len(quote) < signedSize+4 {
		return nil, errTruncated
	}
	if version := binary.LittleEndian.Uint16(quote); version != 4 {
		return nil, fmt.Errorf("quote version %d", version)
	}
	if !bytes.Equal(quote[reportDataOffset:reportDataOffset+64], reportData) {
		return nil, errors.New("REPORTDATA is not for this nonce and key")
	}
	if err := s.verifySignatures(quote); err != nil {
		return nil, err
	}
	measurements := map[string]string{"0": hex.EncodeToString(quote[mrtdOffset : mrtdOffset+48])}
	for i := 0; i < 4; i++ {
		start := rtmrOffset + 48*i
		measurements[fmt.Sprint(i+1)] = hex.EncodeToString(quote[start : start+48])
	}
	if s.mrtd != "" && measurements["0"] != s.mrtd {
		return nil, errors.New("measurements: MRTD is not the expected one")
	}
	return measurements, nil
}

// verifySignatures follows the signatures from the quote to the root: quote by the attestation key, that key by the QE
// report, the report by the PCK key, and the PCK chain by the root. Collateral is left to cvmproxy's own tests.
func (s *settings) verifySignatures(quote []byte) error {
	data := quote[signedSize+4:]
	if size := int(binary.LittleEndian.Uint32(quote[signedSize:])); size > len(data) {
		return errTruncated
	} else {
		data = data[:size]
	}
	const qeReport = 64 + 64 + 2 + 4
	const authSize = qeReport + qeReportSize + 64
	if len(data) < authSize+2 {
		return errTruncated
	}
	attestationKey := data[64:128]
	if !signedBy(point(attestationKey), quote[:signedSize], data[:64]) {
		return errors.New("quote signature")
	}
	auth := data[authSize+2:]
	authLength := int(binary.LittleEndian.Uint16(data[authSize:]))
	if len(auth) < authLength+6 {
		return errTruncated
	}
	report := data[qeReport : qeReport+qeReportSize]
	binding := sha256.Sum256(append(append([]byte{}, attestationKey...), auth[:authLength]...))
	if !bytes.Equal(report[320:384], append(binding[:], make([]byte, 32)...)) {
		return errors.New("QE report does not bind the attestation key")
	}
	pck, err := s.verifyChain(auth[authLength+6:])
	if err != nil {
		return err
	}
	if !signedBy(pck, report, data[qeReport+qeReportSize:authSize]) {
		return errors.New("QE report signature")
	}
	return nil
}

// verifyChain verifies a PEM chain of leaf, CA and root to the pinned root, and returns the leaf's key.
func (s *settings) verifyChain(chainPEM []byte) (*ecdsa.PublicKey, error) {
	rootPEM, err := os.ReadFile(s.root)
	if err != nil {
		return nil, err
	}
	pinned, _ := pem.Decode(rootPEM)
	var chain []*x509.Certificate
	for block, rest := pem.Decode(chainPEM); block != nil; block, rest = pem.Decode(rest) {
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		chain = append(chain, certificate)
	}
	if len(chain) != 3 || pinned == nil || !bytes.Equal(chain[2].Raw, pinned.Bytes) {
		return nil, errors.New("PCK chain does not end in the pinned root")
	}
	for i, certificate := range chain {
		if err := certificate.CheckSignatureFrom(chain[min(i+1, 2)]); err != nil {
			return nil, fmt.Errorf("PCK chain: %w", err)
		}
		if now := time.Now(); now.Before(certificate.NotBefore) || now.After(certificate.NotAfter) {
			return nil, errors.New("PCK chain: outside its validity")
		}
	}
	key, ok := chain[0].PublicKey.(*ecdsa.PublicKey)
	if !ok {
		return nil, errors.New("PCK key is not ECDSA")
	}
	return key, nil
}

func point(xy []byte) *ecdsa.PublicKey {
	x, y := new(big.Int).SetBytes(xy[:32]), new(big.Int).SetBytes(xy[32:])
	return &ecdsa.PublicKey{Curve: elliptic.P256(), X: x, Y: y}
}

// signedBy says whether a raw r‖s signature over the SHA-256 of the message is the key's.
func signedBy(key *ecdsa.PublicKey, message, signature []byte) bool {
	digest := sha256.Sum256(message)
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	return ecdsa.Verify(key, digest[:], r, s)
}
