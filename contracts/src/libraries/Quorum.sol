// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EfficientHashLib} from "solady/utils/EfficientHashLib.sol";
import {LibCall} from "solady/utils/LibCall.sol";

import {ITaskEscrow} from "../interfaces/ITaskEscrow.sol";
import {Signature, Terms, Validator, ValidatorSet} from "../Types.sol";

/// @title Enough signatures of the named set (settlement spec §2.3, §4)
/// @dev Keeps M2a (no smaller subset than needed) and M8b (`2 * need > n` at every time).
library Quorum {
    uint256 internal constant MAX_VALIDATORS = 16;
    /// Plain hash, no EIP-712 domain: a set is the same on every chain.
    bytes32 internal constant SET_TYPEHASH = keccak256("ValidatorSet(uint8 m,uint8 n,bytes32 members)");
    uint8 internal constant KIND_ECDSA = 0;
    uint8 internal constant KIND_ERC1271 = 1;
    /// What a contract validator may spend on its opinion (#51).
    uint256 internal constant ERC1271_GAS = 100_000;
    uint256 private constant ENTRY_BYTES = 21;

    /// @notice The set's name, as terms carry it.
    /// @dev Reverts when this is no set: `1 <= n <= 16`, `n < 2m <= 2n` (#7), keys non-zero and strictly ascending (so
    /// that no key counts twice), kinds known.
    function setHash(ValidatorSet calldata set) internal pure returns (bytes32) {
        uint256 n = set.members.length;
        uint256 m = set.m;
        if (n == 0 || n > MAX_VALIDATORS) revert ITaskEscrow.BadSetSize(n);
        if (n >= 2 * m || m > n) revert ITaskEscrow.BadThreshold(m, n);
        return EfficientHashLib.hash(SET_TYPEHASH, bytes32(m), bytes32(n), _entriesHash(set.members));
    }

    /// @notice How many signatures settle now: `m`, or a bare majority when the terms say so and `settleBy` has passed.
    function need(Terms memory terms, ValidatorSet calldata set) internal view returns (uint256) {
        if (terms.onSilence == 1 && block.timestamp >= terms.settleBy) return set.members.length / 2 + 1;
        return set.m;
    }

    /// @notice Reverts unless `needed` or more members signed `digest`, in ascending order, none of them wrongly.
    /// @dev One bad signature refuses all. "At least" and not "exactly": a transaction that crosses `settleBy` with
    /// more than it needs must not fail.
    function check(ValidatorSet calldata set, bytes32 digest, Signature[] calldata signatures, uint256 needed)
        internal
        view
    {
        uint256 n = set.members.length;
        if (signatures.length < needed) revert ITaskEscrow.NotEnoughSignatures(signatures.length, needed);
        uint256 next;
        for (uint256 i; i < signatures.length; ++i) {
            Signature calldata signature = signatures[i];
            uint256 index = signature.setIndex;
            if (index >= n) revert ITaskEscrow.UnknownSigner(index, n);
            if (index < next) revert ITaskEscrow.SignersNotAscending(index);
            if (!_signed(set.members[index], digest, signature.sig)) revert ITaskEscrow.BadSignature(index);
            next = index + 1;
        }
    }

    /// The declared kind decides, never the code at the address: a delegated EOA (EIP-7702) stays an ECDSA signer (#51).
    function _signed(Validator calldata validator, bytes32 digest, bytes calldata sig) private view returns (bool) {
        if (validator.kind == KIND_ECDSA) {
            // Only 65 bytes, low s and v 27 or 28; `recovered` is zero otherwise, and no member is.
            (address recovered,,) = ECDSA.tryRecoverCalldata(digest, sig);
            return recovered == validator.key;
        }
        (bool answered,, bytes memory answer) = LibCall.tryStaticCall(
            validator.key, ERC1271_GAS, 32, abi.encodeCall(IERC1271.isValidSignature, (digest, sig))
        );
        return answered && answer.length == 32 && bytes32(answer) == bytes32(IERC1271.isValidSignature.selector);
    }

    /// keccak256 over the packed `key ‖ kind` entries, checked on the way.
    function _entriesHash(Validator[] calldata members) private pure returns (bytes32 hash) {
        uint256 start;
        assembly ("memory-safe") {
            start := mload(0x40)
        }
        uint256 end = start;
        uint256 last;
        for (uint256 i; i < members.length; ++i) {
            uint256 key;
            uint256 kind;
            // Read without the decoder's checks: a dirty key is refused below, a dirty kind is unknown.
            assembly ("memory-safe") {
                let member := add(members.offset, shl(6, i))
                key := calldataload(member)
                kind := calldataload(add(member, 0x20))
                // Beyond the free pointer, hashed once and never kept: 16 entries at most.
                mstore(end, or(shl(96, key), shl(88, kind)))
                end := add(end, ENTRY_BYTES)
            }
            if (key <= last || key > type(uint160).max) revert ITaskEscrow.ValidatorsNotAscending(i);
            if (kind > KIND_ERC1271) revert ITaskEscrow.UnknownKind(i, kind);
            last = key;
        }
        assembly ("memory-safe") {
            hash := keccak256(start, sub(end, start))
        }
    }
}
