// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {EfficientHashLib} from "solady/utils/EfficientHashLib.sol";

import {ITaskEscrow} from "../interfaces/ITaskEscrow.sol";
import {SettlementReceipt, Row, Terms} from "../Types.sol";

/// @title The two EIP-712 messages of the ledger (settlement spec §2.3)
/// @dev Terms are hashed for the chain they name, so that money sent on another chain has an address there too and can
/// be swept (#41). Settlements are hashed for the chain they are executed on.
library Digests {
    bytes32 internal constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 internal constant NAME_HASH = keccak256("d402 TaskEscrow");
    bytes32 internal constant VERSION_HASH = keccak256("1");
    bytes32 internal constant TERMS_TYPEHASH = keccak256(
        "Terms(uint8 version,uint8 onSilence,uint16 commissionBps,uint16 gatewayFeeBps,uint96 budget,uint96 validatorFeeCap,uint64 issuedAt,uint64 settleBy,uint64 refundAfter,uint256 chainId,bytes32 taskId,address asset,address refundTo,bytes32 validatorSet,address commissionPayee,address gatewayFeePayee,bytes32 salt)"
    );
    bytes32 internal constant ROW_TYPEHASH = keccak256("Row(address payee,uint8 role,uint96 amount)");
    bytes32 internal constant SETTLEMENT_TYPEHASH = keccak256(
        "Settlement(bytes32 termsHash,bytes32 receiptCid,uint8 outcome,Row[] rows)Row(address payee,uint8 role,uint96 amount)"
    );

    /// @notice The domain of this ledger on a chain.
    function domainSeparator(uint256 chainId) internal view returns (bytes32) {
        return EfficientHashLib.hash(
            DOMAIN_TYPEHASH, NAME_HASH, VERSION_HASH, bytes32(chainId), bytes32(uint256(uint160(address(this))))
        );
    }

    /// @notice Brings terms from calldata to memory in one copy, and refuses words with dirty upper bits as the decoder
    /// would: of one agreement there is one encoding, hence one hash.
    function load(Terms calldata source) internal pure returns (Terms memory terms) {
        uint256 dirty;
        assembly ("memory-safe") {
            calldatacopy(terms, source, 0x220)
            let small := or(mload(terms), mload(add(terms, 0x20)))
            let rates := or(mload(add(terms, 0x40)), mload(add(terms, 0x60)))
            let amounts := or(mload(add(terms, 0x80)), mload(add(terms, 0xa0)))
            let times := or(or(mload(add(terms, 0xc0)), mload(add(terms, 0xe0))), mload(add(terms, 0x100)))
            let wallets := or(mload(add(terms, 0x160)), mload(add(terms, 0x180)))
            wallets := or(wallets, or(mload(add(terms, 0x1c0)), mload(add(terms, 0x1e0))))
            dirty := or(or(shr(8, small), shr(16, rates)), or(shr(96, amounts), or(shr(64, times), shr(160, wallets))))
        }
        if (dirty != 0) revert ITaskEscrow.MalformedTerms();
    }

    /// @notice The name of these terms: everything the buyer agreed to is under it, and it is the escrow's salt.
    function termsHash(bytes32 domain, Terms memory terms) internal pure returns (bytes32) {
        bytes32 typeHash = TERMS_TYPEHASH;
        bytes32 structHash;
        // In memory the struct is its 17 words, as EIP-712 wants them; only the type hash is missing before them.
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, typeHash)
            mcopy(add(free, 0x20), terms, 0x220)
            structHash := keccak256(free, 0x240)
        }
        return MessageHashUtils.toTypedDataHash(domain, structHash);
    }

    /// @notice The 32 bytes every validator signs.
    function settlement(bytes32 domain, bytes32 hash, SettlementReceipt calldata receipt)
        internal
        pure
        returns (bytes32)
    {
        bytes32 structHash = EfficientHashLib.hash(
            SETTLEMENT_TYPEHASH, hash, receipt.receiptCid, bytes32(uint256(receipt.outcome)), _rows(receipt.rows)
        );
        return MessageHashUtils.toTypedDataHash(domain, structHash);
    }

    /// @dev Copies each row's three words as they are. The narrow fields are checked where they are used, by
    /// `Payouts.plan`, without which nothing settles.
    function _rows(Row[] calldata rows) private pure returns (bytes32 hash) {
        bytes32 typeHash = ROW_TYPEHASH;
        assembly ("memory-safe") {
            let hashes := mload(0x40)
            let count := rows.length
            let row := add(hashes, shl(5, count))
            mstore(row, typeHash)
            for { let i := 0 } lt(i, count) { i := add(i, 1) } {
                calldatacopy(add(row, 0x20), add(rows.offset, mul(i, 0x60)), 0x60)
                mstore(add(hashes, shl(5, i)), keccak256(row, 0x80))
            }
            hash := keccak256(hashes, shl(5, count))
        }
    }
}
