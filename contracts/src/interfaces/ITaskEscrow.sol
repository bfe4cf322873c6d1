// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {
    Authorization,
    Plan,
    SettlementReceipt,
    Signature,
    Status,
    Terms,
    Unsettleable,
    ValidatorSet
} from "../Types.sol";

/// @title The escrow ledger of d402 tasks
/// @notice One address per task, known before any code is there: `escrowOf(terms)`. Whoever pays it, by plain transfer or
/// by EIP-3009, binds the money to the terms. Before `refundAfter` it moves only by a receipt that enough validators
/// of the named set signed; from `refundAfter` on everything that is not a payee's credit goes to `refundTo`. Every
/// function may be called by anybody, at the caller's cost, unless it says otherwise.
/// @dev No owner, no proxy, no pause, no upgrade. Nothing is stored per task but credits: code at the escrow's address
/// is the permanent mark that it is settled. Batches go through Multicall3 with failure allowed.
///
/// Assumptions about the asset: `transfer` moves exactly the amount out of the sender's balance or fails; balances do
/// not shrink by themselves. A token that breaks them harms the escrows of that token only. The issuer's power to freeze the
/// escrow itself is accepted and named in the threat model.
///
/// Warning: `refundTo` and the validator set come from the terms. A payer who has not checked the terms trusts whoever
/// wrote them, up to the amount paid.
interface ITaskEscrow {
    /// @notice The terms behind a hash became public: from here on anybody can refund.
    event TermsPublished(bytes32 indexed termsHash, address indexed escrow, Terms terms);
    /// @notice `pay` moved `amount` to the escrow. Plain transfers show only in the token's own log.
    event Funded(bytes32 indexed termsHash, address indexed from, uint256 amount, bytes32 nonce);
    /// @notice A receipt was executed.
    /// @param payouts payee in the upper 160 bits, amount in the lower 96: the rows in their order less commission, then
    /// creator, gateway and refundTo where they get anything
    /// @param unpaid bit i says that `payouts[i]` could not be sent: it became a credit, or for `refundTo` waits for a sweep
    event Settled(
        bytes32 indexed termsHash, bytes32 indexed receiptCid, uint8 outcome, uint256 unpaid, uint256[] payouts
    );
    /// @notice A payee could not be paid; the money waits for it at the escrow.
    event Credited(bytes32 indexed termsHash, address indexed payee, uint256 amount);
    /// @notice A credit was paid.
    event CreditClaimed(bytes32 indexed termsHash, address indexed payee, address indexed to, uint256 amount);
    /// @notice Credits nobody claimed in time went back to the residual.
    event CreditsLapsed(bytes32 indexed termsHash, uint256 amount);
    /// @notice Money went back; token zero is ether. From here on the escrow counts as settled.
    event Swept(bytes32 indexed termsHash, address indexed token, address indexed to, uint256 amount);

    /// @notice The escrow has code: a receipt was executed, or it was swept.
    error AlreadySettled(bytes32 termsHash);
    /// @notice The terms cannot settle here and now; they can be swept instead.
    error NotSettleable(Unsettleable reason);
    /// @notice A narrow field of the terms has bits beyond its width.
    error MalformedTerms();
    error TooLate(uint256 nowAt, uint256 until);
    error TooEarly(uint256 nowAt, uint256 from);

    error BadSetSize(uint256 got);
    error BadThreshold(uint256 m, uint256 n);
    error ValidatorsNotAscending(uint256 index);
    error UnknownKind(uint256 index, uint256 kind);
    error WrongSet(bytes32 got, bytes32 wanted);
    error NotEnoughSignatures(uint256 got, uint256 needed);
    error UnknownSigner(uint256 index, uint256 n);
    error SignersNotAscending(uint256 index);
    error BadSignature(uint256 index);

    error TooManyRows(uint256 got);
    error RowsNotAscending(uint256 index);
    error ZeroAmount(uint256 index);
    error BadRole(uint256 index, uint8 role);
    error BadPayee(address payee);
    error BadOutcome(uint8 outcome);
    error PaidWithoutWorker();
    error RejectedWithWorker();
    error ValidatorsOverCap(uint256 total, uint256 cap);
    error OverBudget(uint256 owed, uint256 budget);
    /// @notice Worth a retry after a top-up.
    error Underfunded(uint256 owed, uint256 balance);

    error NoCredit(address payee);
    error NothingToSweep(address token);
    /// @notice The receiver cannot be paid now. Worth a retry.
    error Unpayable(address to);
    error WrongSigner(address got, address needed);
    /// @notice The token does not say what the escrow holds.
    error BalanceUnknown(address token);
    /// @notice The token refused the authorization; at most the first 256 bytes of its reason.
    error PaymentRefused(bytes reason);
    /// @notice Less than the authorized value arrived.
    error PaymentShort(uint256 got, uint256 wanted);

    /// @notice The account every escrow is a clone of.
    function ACCOUNT() external view returns (address);

    /// @notice Moves money to the escrow by an EIP-3009 `transferWithAuthorization` whose receiver is the escrow, and
    /// publishes the terms in the same transaction. Refused once settled, for terms that cannot settle, and from
    /// `settleBy` on.
    /// @dev Anybody may send the authorization to the token directly instead: then this reverts, the money is at the
    /// escrow all the same, and `publishTerms` does the rest (#37).
    function pay(Terms calldata terms, Authorization calldata authorization, uint8 v, bytes32 r, bytes32 s) external;

    /// @notice The same with a signature of any length, for contract wallets (ERC-1271, ERC-6492 where the token knows it).
    function pay(Terms calldata terms, Authorization calldata authorization, bytes calldata signature) external;

    /// @notice Publishes terms, valid or not, funded or not: with them anybody can refund.
    /// @return termsHash the hash they were published under
    function publishTerms(Terms calldata terms) external returns (bytes32 termsHash);

    /// @notice Executes a receipt, once: pays each row less commission, the creator, the gateway, and the rest to
    /// `refundTo`. A payee who cannot be paid gets a credit and costs the others nothing; a `refundTo` who cannot be
    /// paid leaves the residual for a sweep.
    /// @dev The caller decides nothing but the moment: any amount of gas either pays everybody who can be paid or
    /// reverts.
    function settle(
        Terms calldata terms,
        SettlementReceipt calldata receipt,
        ValidatorSet calldata set,
        Signature[] calldata signatures
    ) external;

    /// @notice Sends everything that is not a credit to `refundTo`: the refund. Also for other tokens sent here by
    /// mistake, and for ether (token zero). Open once settled, from `refundAfter` on, and for terms that cannot settle.
    function sweep(Terms calldata terms, address token) external;

    /// @notice The same to any address, for a `refundTo` that the token refuses. Only `refundTo` itself may call.
    function sweepTo(Terms calldata terms, address token, address to) external;

    /// @notice Pays a credit to its payee, until 180 days after `refundAfter`.
    function claimCredit(Terms calldata terms, address payee) external;

    /// @notice Pays the caller's own credit to any address.
    function claimCreditTo(Terms calldata terms, address to) external;

    /// @notice The credit of a payee, atomic units of the asset.
    function creditOf(bytes32 termsHash, address payee) external view returns (uint256);

    /// @notice Σ credits of an escrow.
    function creditsOf(bytes32 termsHash) external view returns (uint256);

    /// @notice EIP-712 hash of the terms, for the chain they name.
    function hashTerms(Terms calldata terms) external view returns (bytes32);

    /// @notice Where to pay.
    function escrowOf(Terms calldata terms) external view returns (address);

    /// @notice The digest validators sign, for this chain.
    function settlementDigest(bytes32 termsHash, SettlementReceipt calldata receipt) external view returns (bytes32);

    /// @notice The hash of a validator set; reverts when it is none.
    function hashSet(ValidatorSet calldata set) external pure returns (bytes32);

    /// @notice Why these terms cannot settle now, or `None`. Never reverts.
    function settleable(Terms calldata terms) external view returns (Unsettleable);

    /// @notice How many signatures settle now. Does not compare the set with the terms.
    function neededSignatures(Terms calldata terms, ValidatorSet calldata set) external view returns (uint256);

    /// @notice What a receipt would pay out of the present balance; reverts as `settle` would for its rows. Asks nothing
    /// about time, signatures or whether the escrow is settled.
    function previewSettle(Terms calldata terms, SettlementReceipt calldata receipt) external view returns (Plan memory);

    /// @notice Where the escrow stands.
    function statusOf(Terms calldata terms) external view returns (Status memory);

    /// @notice The EIP-712 domain of settlements, as ERC-5267 wants it.
    function eip712Domain()
        external
        view
        returns (
            bytes1 fields,
            string memory name,
            string memory version,
            uint256 chainId,
            address verifyingContract,
            bytes32 salt,
            uint256[] memory extensions
        );
}
