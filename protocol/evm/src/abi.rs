//! Token, ledger and Multicall3, as the chain encodes them.
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::too_many_arguments,
    clippy::pub_underscore_fields,
    reason = "generated from the Solidity text"
)]

use alloy::primitives::{Address, address};
use alloy::sol;

/// Where Multicall3 is on every chain it was deployed to.
pub const MULTICALL3: Address = address!("0xcA11bde05977b3631167028862bE2a173976CA11");

sol! {
    /// ERC-20 with EIP-3009, as USDC has it.
    interface Token {
        event Transfer(address indexed from, address indexed to, uint256 value);
        event AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce);
        event AuthorizationCanceled(address indexed authorizer, bytes32 indexed nonce);
        function balanceOf(address account) external view returns (uint256);
        function transfer(address to, uint256 value) external returns (bool);
        function authorizationState(address authorizer, bytes32 nonce) external view returns (bool);
        function transferWithAuthorization(address from, address to, uint256 value, uint256 validAfter,
            uint256 validBefore, bytes32 nonce, bytes calldata signature) external;
    }

    /// Many calls in one question; each may fail alone.
    interface Multicall3 {
        struct Call3 { address target; bool allowFailure; bytes callData; }
        struct Result { bool success; bytes returnData; }
        function aggregate3(Call3[] calldata calls) external payable returns (Result[] memory returnData);
        function getCurrentBlockTimestamp() external view returns (uint256 timestamp);
    }

    /// Signatures of contract wallets.
    interface Erc1271 {
        function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4);
    }

    struct Terms {
        uint8 version;
        uint8 onSilence;
        uint16 commissionBps;
        uint16 gatewayFeeBps;
        uint96 budget;
        uint96 validatorFeeCap;
        uint64 issuedAt;
        uint64 settleBy;
        uint64 refundAfter;
        uint256 chainId;
        bytes32 taskId;
        address asset;
        address refundTo;
        bytes32 validatorSet;
        address commissionPayee;
        address gatewayFeePayee;
        bytes32 salt;
    }
    struct Row { address payee; uint8 role; uint96 amount; }
    struct SettlementReceipt { bytes32 receiptCid; uint8 outcome; Row[] rows; }
    struct Validator { address key; uint8 kind; }
    struct ValidatorSet { uint8 m; Validator[] members; }
    struct Signature { uint8 setIndex; bytes sig; }
    struct LedgerAuthorization {
        address from;
        uint256 value;
        uint256 validAfter;
        uint256 validBefore;
        bytes32 nonce;
    }

    /// `contracts/src/interfaces/ITaskEscrow.sol`, as far as it is used here.
    interface Ledger {
        event TermsPublished(bytes32 indexed termsHash, address indexed escrow, Terms terms);
        event Funded(bytes32 indexed termsHash, address indexed from, uint256 amount, bytes32 nonce);
        event Settled(bytes32 indexed termsHash, bytes32 indexed receiptCid, uint8 outcome, uint256 unpaid,
            uint256[] payouts);
        event Swept(bytes32 indexed termsHash, address indexed token, address indexed to, uint256 amount);

        error AlreadySettled(bytes32 termsHash);
        error NotSettleable(uint8 reason);
        error TooLate(uint256 nowAt, uint256 until);
        error TooEarly(uint256 nowAt, uint256 from);
        error NotEnoughSignatures(uint256 got, uint256 needed);
        error BadSignature(uint256 index);
        error OverBudget(uint256 owed, uint256 budget);
        error Underfunded(uint256 owed, uint256 balance);
        error NothingToSweep(address token);
        error NoCredit(address payee);
        error PaymentRefused(bytes reason);
        error PaymentShort(uint256 got, uint256 wanted);
        error BalanceUnknown(address token);
        error Unpayable(address to);

        function settle(Terms calldata terms, SettlementReceipt calldata receipt, ValidatorSet calldata set,
            Signature[] calldata signatures) external;
        function sweep(Terms calldata terms, address token) external;
        function claimCredit(Terms calldata terms, address payee) external;
        function creditsOf(bytes32 termsHash) external view returns (uint256);
    }

    /// `pay` of the ledger with a signature of any form.
    interface LedgerPay {
        function pay(Terms calldata terms, LedgerAuthorization calldata authorization, bytes calldata signature)
            external;
    }
}
