// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The account behind an escrow address
/// @notice Sends what the ledger that created it says, and can do nothing else. Every escrow is an EIP-1167 clone of one
/// such account.
interface IEscrowAccount {
    /// @notice Only the ledger may call.
    error NotLedger(address caller);
    /// @notice Too little gas was sent to tell a payee who cannot be paid from one who can. Send more.
    error NotEnoughGas(uint256 got, uint256 needed);

    /// @notice Sends `token` to many, and goes on when one cannot be paid.
    /// @param payouts payee in the upper 160 bits, amount in the lower 96
    /// @return unpaid bit i is set when `payouts[i]` was not paid
    function disburse(address token, uint256[] calldata payouts) external returns (uint256 unpaid);

    /// @notice Sends `amount` of `token`.
    /// @return paid false when the token reverted, returned anything but true, or has no code
    function transfer(address token, address to, uint256 amount) external returns (bool paid);

    /// @notice Sends ether.
    /// @return sent false when the receiver refused it
    function transferEther(address to, uint256 amount) external returns (bool sent);
}
